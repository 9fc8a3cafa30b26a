// Makes the certificates of the TLS tests with openssl: one good authority, one good certificate, and those that must
// be refused.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('../folder');

const LOCAL = 'DNS:localhost,IP:127.0.0.1,IP:::1';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

// `openssl x509` cannot date a certificate back, `openssl ca` can; it wants a small database of its own.
const CA_CONFIG = (dir) => `
[ca]
default_ca = test
[test]
database = ${dir}/index.txt
serial = ${dir}/serial
new_certs_dir = ${dir}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
`;

/**
 * Resolves paths: `ca`, and { cert, key, ca } for `good`, `expired`, `wrongHost` and `selfSigned`; `remove()` deletes
 * them.
 */
function makeCertificates() {
  const { dir, remove } = makeFolder('tls');
  const at = (name) => path.join(dir, name);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });

  fs.writeFileSync(at('ca.cnf'), CA_CONFIG(dir));
  fs.writeFileSync(at('index.txt'), '');
  fs.writeFileSync(at('serial'), '1000\n');
  const request = (name, subject, ...args) =>
    openssl('req', ...NEW_KEY, '-keyout', at(`${name}.key`), '-subj', `/CN=${subject}`, ...args);
  request('ca', 'Holdfast test authority', '-x509', '-days', '30', '-out', at('ca.crt'));

  const sign = (name, names, dates) => {
    request(name, name, '-out', at(`${name}.csr`), '-addext', `subjectAltName=${names}`);
    openssl(
      'ca',
      '-batch',
      '-notext',
      '-config',
      at('ca.cnf'),
      '-cert',
      at('ca.crt'),
      '-keyfile',
      at('ca.key'),
      '-in',
      at(`${name}.csr`),
      '-out',
      at(`${name}.crt`),
      ...dates,
    );
    return { cert: at(`${name}.crt`), key: at(`${name}.key`), ca: at('ca.crt') };
  };
  const good = sign('good', LOCAL, ['-days', '30']);
  const expired = sign('expired', LOCAL, ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z']);
  const wrongHost = sign('wrong-host', 'DNS:cache.example.com', ['-days', '30']);
  request(
    'self-signed',
    'localhost',
    '-x509',
    '-days',
    '30',
    '-out',
    at('self-signed.crt'),
    '-addext',
    `subjectAltName=${LOCAL}`,
  );
  const selfSigned = { cert: at('self-signed.crt'), key: at('self-signed.key'), ca: at('self-signed.crt') };

  return { ca: at('ca.crt'), good, expired, wrongHost, selfSigned, remove };
}

module.exports = { makeCertificates };
