// The way to the server: its name, TCP, TLS.
'use strict';

const { isIP } = require('node:net');
const { Connection, Late, ReplyError } = require('../../redis/connection.js');
const { connect, literal, secure } = require('../../redis/dial.js');
const { resolve } = require('../../redis/resolve.js');
const { millis } = require('../report.js');

/** @typedef {import('../exam.js').Exam} Exam */
/** @typedef {import('../exam.js').Deadline} Deadline */

/** Milliseconds of a step that are kept for trying the other protocol on the port. */
const OTHER_MS = 150;
/** Certificates with fewer days left are a warning. */
const FEW_DAYS = 21;

const MEMORY = 'the cache runs in memory mode until it can connect, and tries for ever';

/** The finding of a server that wants to know who we are. */
const CLIENT_CERTIFICATE = {
  measured: 'the server wants a certificate of the client, and has got none, or one that it does not trust',
  why: MEMORY,
  mend: ['HOLDFAST_TLS_CERT=client.pem HOLDFAST_TLS_KEY=client-key.pem   # or tls-auth-clients no on the server'],
};

/** @type {import('../exam.js').Examination} */
const dns = {
  name: 'dns',
  skips: (exam) => exam.at !== null && exam.at.path !== '',
  late: {
    measured: 'the resolver said nothing',
    why: `the name is resolved at each dial, which ends after a second: ${MEMORY}`,
    mend: ['cat /etc/resolv.conf   # and try each name server: dig @SERVER HOST'],
  },
  async run(exam, deadline) {
    const { report, target } = exam;
    const family = isIP(target.host);
    if (family !== 0) {
      exam.addresses = [{ address: target.host, family }];
      report.ok('dns.resolves', 'the host is an address: there is no name to resolve');
      return true;
    }
    const { addresses, ms, code } = await resolve(target.host, deadline.left());
    exam.addresses = addresses;
    const data = { ms, addresses: addresses.map((each) => each.address) };
    if (addresses.length === 0) {
      report.add('problem', 'dns.fails', {
        measured: `the host of the URL does not resolve (${code})`,
        why: MEMORY,
        mend: ['getent hosts HOST   # as this machine resolves it; a name of another network, or a typing error?'],
        data: { ...data, code },
      });
      return false;
    }
    const list = data.addresses.join(', ');
    if (ms > exam.timeoutMs) {
      report.add('warning', 'dns.slow', {
        measured: `${addresses.length} address(es) in ${millis(ms)}: ${list}`,
        why: `a reconnect waits for it each time, and a call waits ${exam.timeoutMs} ms at most`,
        mend: ['cat /etc/resolv.conf   # a name server that does not answer is asked first'],
        data,
      });
    } else report.ok('dns.resolves', `${addresses.length} address(es) in ${millis(ms)}: ${list}`, data);
    return true;
  },
};

/** @type {import('../exam.js').Examination} */
const tcp = {
  name: 'tcp',
  late: {
    measured: 'no address accepted the connection',
    why: `packets are dropped on the way, or the server does not accept: ${MEMORY}`,
    mend: ['nc -vz -w 2 HOST PORT   # from this machine; then the firewalls and security groups between the two'],
  },
  async run(exam, deadline) {
    const { report, target } = exam;
    if (target.path !== '') return throughSocket(exam, deadline);
    const began = performance.now();
    const tried = await Promise.all(
      exam.addresses.map(({ address }) => dialled(address, target.port, deadline, began)),
    );
    const good = tried.filter(({ socket }) => socket !== null);
    exam.socket = good[0]?.socket ?? null;
    for (const { socket } of good.slice(1)) socket?.destroy();
    const said = tried.map(({ address, code, ms }) => `${address} ${code || `in ${millis(ms)}`}`).join(', ');
    const data = { port: target.port, accepted: good.length, tried: tried.length };
    if (good.length === tried.length) {
      report.ok('tcp.accepts', `port ${target.port} accepts: ${said}`, data);
      return true;
    }
    if (good.length > 0) {
      report.add('warning', 'tcp.partly', {
        measured: `port ${target.port}: ${said}`,
        why: 'each address is tried in turn, so a reconnect may lose its time with one that does not accept',
        mend: ['getent ahosts HOST   # remove the record that leads nowhere, or let the server listen there: bind'],
        data,
      });
      return true;
    }
    if (tried.every(({ code }) => code === 'late')) throw new Late();
    const isRefused = tried.some(({ code }) => code === 'ECONNREFUSED');
    report.add('problem', isRefused ? 'tcp.refused' : 'tcp.unreachable', {
      measured: `port ${target.port}: ${said}`,
      why: `${isRefused ? 'nobody listens there' : 'there is no way to it'}: ${MEMORY}`,
      mend: isRefused
        ? [`ss -ltn | grep ${target.port}   # on the server: does it listen, and on more than 127.0.0.1 (bind)?`]
        : [`nc -vz -w 2 HOST ${target.port}   # from this machine`],
      data: { ...data, codes: tried.map(({ code }) => code) },
    });
    return false;
  },
};

/**
 * @param {string} address
 * @param {number} port
 * @param {Deadline} deadline
 * @param {number} began
 */
async function dialled(address, port, deadline, began) {
  try {
    const socket = await connect({ host: address, port }, deadline);
    return { address: literal(address), socket, code: '', ms: performance.now() - began };
  } catch (error) {
    const { code = 'failed' } = /** @type {NodeJS.ErrnoException} */ (error);
    const said = error instanceof Late ? 'late' : code;
    return { address: literal(address), socket: null, code: said, ms: performance.now() - began };
  }
}

/**
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function throughSocket(exam, deadline) {
  const began = performance.now();
  try {
    exam.socket = await connect({ path: exam.target.path }, deadline);
  } catch (error) {
    if (error instanceof Late) throw error;
    const { code = 'failed' } = /** @type {NodeJS.ErrnoException} */ (error);
    exam.report.add('problem', 'tcp.refused', {
      measured: `the unix socket does not accept (${code})`,
      why: `${code === 'EACCES' ? 'this user may not use it' : 'nobody listens there'}: ${MEMORY}`,
      mend: ['redis-cli CONFIG GET unixsocket*   # where it is, and who may use it (unixsocketperm)'],
      data: { codes: [code] },
    });
    return false;
  }
  const ms = performance.now() - began;
  exam.report.ok('tcp.accepts', `the unix socket accepts in ${millis(ms)}`, { ms });
  return true;
}

/** @type {import('../exam.js').Examination} */
const tls = {
  name: 'tls',
  skips: (exam) => exam.at !== null && !exam.at.tls,
  async run(exam, deadline) {
    const { target, trust } = exam;
    const began = performance.now();
    const name = exam.given.servername ?? target.host;
    try {
      const socket = /** @type {import('node:net').Socket} */ (exam.socket);
      const secured = await secure(socket, name, /** @type {any} */ (trust), deadline.leaving(OTHER_MS));
      exam.socket = secured.socket;
      return judge(exam, secured, performance.now() - began);
    } catch (error) {
      await refused(exam, /** @type {NodeJS.ErrnoException} */ (error), deadline);
      return false;
    }
  },
};

/**
 * @param {Exam} exam
 * @param {import('../../redis/dial.js').Secured} secured
 * @param {number} ms
 */
function judge({ report, trust }, { faults, protocol, daysLeft, daysUntil, names, selfSigned }, ms) {
  const data = { ms, protocol, daysLeft, selfSigned, faults, names };
  const insecure = trust?.insecure === true;
  if (insecure) {
    report.add('warning', 'tls.insecure', {
      measured: `HOLDFAST_TLS_INSECURE accepts any certificate${faults.length > 0 ? ` (here: ${faults.join(', ')})` : ''}`,
      why: 'anybody on the way can read and change the cache, and learns the password',
      mend: ['HOLDFAST_TLS_CA=redis-ca.pem   # the authority that signed the certificate, in place of it'],
      data,
    });
  }
  if (faults.length > 0 && !insecure) {
    for (const fault of faults) report.add('problem', ...certificateFault(fault, { daysLeft, daysUntil, names, data }));
    return false;
  }
  if (daysLeft < FEW_DAYS && !faults.includes('CERT_HAS_EXPIRED')) {
    report.add('warning', 'tls.expires-soon', {
      measured: `${protocol}; the certificate ends in ${daysLeft} day(s)`,
      why: 'behind its end each new connection is refused, and the cache runs in memory mode',
      mend: [
        'openssl s_client -connect HOST:PORT </dev/null 2>/dev/null | openssl x509 -noout -dates   # and renew it',
      ],
      data,
    });
  } else if (!insecure) {
    report.ok('tls.verified', `${protocol} in ${millis(ms)}; the certificate is valid for ${daysLeft} days`, data);
  }
  return true;
}

/**
 * @param {string} fault in OpenSSL's words
 * @param {{ daysLeft: number, daysUntil: number, names: string[], data: import('../report.js').Data }} seen
 * @returns {[string, import('../report.js').Said]}
 */
function certificateFault(fault, { daysLeft, daysUntil, names, data }) {
  const why = 'the engine refuses it, and the cache runs in memory mode';
  const fetch =
    'openssl s_client -showcerts -connect HOST:PORT </dev/null 2>/dev/null | openssl x509 > redis-ca.pem   # compare it with the original';
  switch (fault) {
    case 'CERT_HAS_EXPIRED': {
      const mend = [
        'openssl s_client -connect HOST:PORT </dev/null 2>/dev/null | openssl x509 -noout -dates   # and renew it',
      ];
      return ['tls.expired', { measured: `the certificate has expired ${-daysLeft} day(s) ago`, why, mend, data }];
    }
    case 'CERT_NOT_YET_VALID': {
      const mend = ['timedatectl   # is the clock of this machine right?'];
      return ['tls.not-yet-valid', { measured: `the certificate is valid in ${daysUntil} day(s)`, why, mend, data }];
    }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT': {
      const mend = [fetch, 'HOLDFAST_TLS_CA=redis-ca.pem'];
      return [
        'tls.self-signed',
        { measured: 'the certificate is self-signed, and nobody vouches for it', why, mend, data },
      ];
    }
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const named = names.find((name) => name.startsWith('DNS:'))?.slice(4);
      const mend = [`createCache({ …, tls: { servername: '${named ?? 'NAME'}' } })   # or that name in the URL`];
      const measured = `the certificate is for another host: ${names.join(', ') || 'it names none'}`;
      return ['tls.wrong-host', { measured, why, mend, data }];
    }
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE': {
      const mend = ['HOLDFAST_TLS_CA=redis-ca.pem   # the authority that signed it: your provider has the file'];
      const measured = `the authority that signed the certificate is not trusted here (${fault})`;
      return ['tls.untrusted', { measured, why, mend, data }];
    }
    default:
      return ['tls.refused', { measured: `the certificate is refused (${fault})`, why, mend: [fetch], data }];
  }
}

/**
 * TLS did not come about: perhaps the port speaks plain Redis.
 * @param {Exam} exam
 * @param {NodeJS.ErrnoException} error
 * @param {Deadline} deadline
 */
async function refused(exam, error, deadline) {
  const { report } = exam;
  if (await isPlain(exam, deadline)) {
    report.add('problem', 'tls.plain-port', {
      measured: 'the URL asks for TLS, and the port speaks plain Redis',
      why: MEMORY,
      mend: ['REDIS_URL=redis://…   # redis in place of rediss, or the port with TLS (tls-port)'],
    });
  } else if (error instanceof Late) {
    report.add('problem', 'tls.late', {
      measured: `the port accepts, and says nothing to a TLS greeting within ${Math.round(deadline.ms)} ms`,
      why: MEMORY,
      mend: ['openssl s_client -connect HOST:PORT </dev/null   # what does it say?'],
      data: { budgetMs: Math.round(deadline.ms) },
    });
  } else if (wantsCertificate(error.code)) {
    report.add('problem', 'tls.client-certificate', CLIENT_CERTIFICATE);
  } else if (/VERSION|PROTOCOL/.test(error.code ?? '')) {
    report.add('problem', 'tls.version', {
      measured: `the server speaks no TLS of version 1.2 or newer (${error.code})`,
      why: MEMORY,
      mend: ['redis-cli CONFIG SET tls-protocols "TLSv1.2 TLSv1.3"'],
    });
  } else {
    report.add('problem', 'tls.fails', {
      measured: `TLS does not come about (${error.code ?? 'closed'})`,
      why: MEMORY,
      mend: ['openssl s_client -connect HOST:PORT </dev/null   # what does it say?'],
    });
  }
}

/**
 * Whether the server broke off for want of a certificate of ours: TLS 1.3 says it behind the handshake, 1.2 within.
 * @param {string | undefined} code
 */
function wantsCertificate(code = '') {
  return /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA/.test(code);
}

/**
 * Whether the port says a word of Redis without TLS. It is told no password.
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function isPlain({ addresses, target }, deadline) {
  try {
    const socket = await connect({ host: addresses[0].address, port: target.port }, deadline);
    const connection = new Connection(socket);
    try {
      const reply = await deadline.race(connection.ask('PING'));
      return reply === 'PONG' || reply instanceof ReplyError;
    } finally {
      connection.close();
    }
  } catch {
    return false;
  }
}

/**
 * Whether the port speaks TLS. It is told no password, and its certificate is not looked at.
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function speaksTls({ addresses, target, trust }, deadline) {
  if (target.path !== '') return false;
  try {
    const socket = await connect({ host: addresses[0].address, port: target.port }, deadline);
    const secured = await secure(socket, target.host, /** @type {any} */ (trust), deadline);
    secured.socket.destroy();
    return true;
  } catch (error) {
    // It wants a certificate of ours, or another version: that is TLS.
    return /ALERT|HANDSHAKE/.test(/** @type {NodeJS.ErrnoException} */ (error).code ?? '');
  }
}

module.exports = { CLIENT_CERTIFICATE, dns, speaksTls, tcp, tls, wantsCertificate };
