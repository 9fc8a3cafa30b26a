// Whom TLS believes, as the engine has it: the system's authorities, HOLDFAST_TLS_CA and NODE_EXTRA_CA_CERTS. And who
// we are, where the server asks.
'use strict';

const fs = require('node:fs');
const tls = require('node:tls');
const { flag } = require('../../src/js/base/environment.js');
const { caOption, extraCertificates, pemOption } = require('../../src/js/options/certificates.js');

/** Older versions are refused by the engine. */
const OLDEST = /** @type {const} */ ('TLSv1.2');
/** Where systems keep the authorities that they trust, in one file. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Alpine, Arch
  '/etc/pki/tls/certs/ca-bundle.crt', // Fedora, RHEL, Amazon Linux
  '/etc/ssl/ca-bundle.pem', // openSUSE
  '/etc/ssl/cert.pem', // macOS, BSD
];

/**
 * `context`: made by its first use, as some hundred certificates take their time.
 * @typedef {{ context: () => tls.SecureContext, insecure: boolean }} Trust
 */

/**
 * Throws a HoldfastError where a variable names no file that can be read.
 * @returns {Trust}
 */
function trust() {
  const extra = extraCertificates();
  const ca = [...systemRoots(), ...caOption(undefined), ...(extra === undefined ? [] : [extra])];
  const cert = pemOption(undefined, 'tls.cert', 'HOLDFAST_TLS_CERT');
  const key = pemOption(undefined, 'tls.key', 'HOLDFAST_TLS_KEY');
  /** @type {tls.SecureContext | undefined} */
  let made;
  const context = () => {
    made ??= tls.createSecureContext({ ca, cert, key, minVersion: OLDEST });
    return made;
  };
  return { context, insecure: flag('HOLDFAST_TLS_INSECURE') };
}

/** Node's own list besides: what it has and the system has not is rare, and the engine's list is not to be had here. */
function systemRoots() {
  for (const file of [process.env.SSL_CERT_FILE, ...BUNDLES]) {
    try {
      if (file) return [...tls.rootCertificates, fs.readFileSync(file)];
    } catch {
      // Another system keeps it elsewhere.
    }
  }
  return [...tls.rootCertificates];
}

module.exports = { trust };
