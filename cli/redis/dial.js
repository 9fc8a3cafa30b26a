// Dials step by step, so that each step can be timed, and refused, by itself: TCP, then TLS.
//
// TLS is spoken with whoever answers, and judged afterwards: so a certificate that is refused can be shown. Whoever
// calls `secure` sends no password before `faults` is empty, unless the user accepts any certificate.
'use strict';

const net = require('node:net');
const tls = require('node:tls');
const { Late } = require('./connection.js');

/** @typedef {import('./target.js').Target} Target */
/** @typedef {{ left: () => number, race: <T>(promise: Promise<T>) => Promise<T> }} Deadline */
/**
 * `faults`: codes of what is wrong with the certificate, in OpenSSL's words. `asked`: the server wanted one of ours.
 * @typedef {{ socket: tls.TLSSocket, faults: string[], protocol: string, daysLeft: number, daysUntil: number,
 *   names: string[], selfSigned: boolean }} Secured
 */

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Resolves to a connected socket; rejects with the system's error, or with Late.
 * @param {{ host: string, port: number } | { path: string }} where
 * @param {Deadline} deadline
 * @returns {Promise<net.Socket>}
 */
function connect(where, deadline) {
  const socket = net.connect(where);
  return settled(socket, 'connect', deadline);
}

/**
 * @param {net.Socket} plain
 * @param {string} name that the certificate must carry
 * @param {import('./roots.js').Trust} trust
 * @param {Deadline} deadline
 * @returns {Promise<Secured>} rejects with OpenSSL's error, or with Late
 */
async function secure(plain, name, trust, deadline) {
  const options = { socket: plain, secureContext: trust.context(), rejectUnauthorized: false };
  const socket = await settled(
    tls.connect(net.isIP(name) ? options : { ...options, servername: name }),
    'secureConnect',
    deadline,
  );
  const certificate = socket.getPeerCertificate(true);
  const chain = socket.authorizationError === null ? '' : String(socket.authorizationError ?? '');
  // Node looks at the name only where the chain holds.
  const wrongName = tls.checkServerIdentity(name, certificate) === undefined ? '' : 'ERR_TLS_CERT_ALTNAME_INVALID';
  const [from, to] = [certificate.valid_from, certificate.valid_to].map((date) => Date.parse(date) - Date.now());
  return {
    socket,
    faults: [...new Set([chain, wrongName])].filter((code) => code !== ''),
    protocol: socket.getProtocol() ?? '',
    daysLeft: Math.floor(to / DAY_MS),
    daysUntil: Math.ceil(from / DAY_MS),
    names: (certificate.subjectaltname ?? '').split(', ').filter((each) => each !== ''),
    selfSigned: certificate.issuerCertificate === certificate || chain === 'DEPTH_ZERO_SELF_SIGNED_CERT',
  };
}

/**
 * @template {net.Socket} T
 * @param {T} socket
 * @param {string} event after which it is ready
 * @param {Deadline} deadline
 * @returns {Promise<T>}
 */
function settled(socket, event, deadline) {
  // It may break while nobody listens: whoever writes to it next hears of it.
  socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Late()), deadline.left());
    /** @param {Error | null} error */
    const end = (error) => {
      clearTimeout(timer);
      socket.removeListener(event, ready);
      socket.removeListener('close', closed);
      socket.removeListener('error', end);
      if (error === null) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    const ready = () => end(null);
    const closed = () => end(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    socket.once(event, ready);
    socket.once('error', end);
    socket.once('close', closed);
  });
}

/**
 * A finding's name of an address: as it is written in a URL.
 * @param {string} address
 */
function literal(address) {
  return net.isIPv6(address) ? `[${address}]` : address;
}

module.exports = { connect, literal, secure };
