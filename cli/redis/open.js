// A connection that is ready for commands, in one call: name, TCP, TLS, HELLO with the credentials of the URL, the
// database. For whoever wants the connection; the doctor makes the same steps one by one.
'use strict';

const { Connection, ReplyError } = require('./connection.js');
const { connect, secure } = require('./dial.js');
const { resolve } = require('./resolve.js');

/** @typedef {import('./target.js').Target} Target */
/** @typedef {import('./resp.js').Reply} Reply */

/** The server is there, and lets nobody in: `message` has no credentials. */
class Refused extends Error {}

/**
 * @param {Target} target
 * @param {import('./roots.js').Trust} trust
 * @param {import('./dial.js').Deadline} deadline
 * @param {string} [servername] that the certificate must carry, where not the host
 * @returns {Promise<Connection>} rejects with Late, Lost, Refused, or the system's error
 */
async function open(target, trust, deadline, servername = target.host) {
  const socket = await dialled(target, deadline);
  const secured = target.tls ? await secure(socket, servername, trust, deadline) : null;
  if (secured !== null && secured.faults.length > 0 && !trust.insecure) {
    socket.destroy();
    throw new Refused(`its certificate is refused (${secured.faults.join(', ')})`);
  }
  const connection = new Connection(secured?.socket ?? socket);
  try {
    await deadline.race(enter(connection, target));
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * @param {Target} target
 * @param {import('./dial.js').Deadline} deadline
 */
async function dialled({ host, port, path }, deadline) {
  if (path !== '') return connect({ path }, deadline);
  const { addresses, code } = await resolve(host, deadline.left());
  if (addresses.length === 0) throw new Refused(`its name does not resolve (${code})`);
  /** @type {unknown} */
  let failure;
  for (const { address } of addresses) {
    try {
      return await connect({ host: address, port }, deadline);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * @param {Connection} connection
 * @param {Target} target
 */
async function enter(connection, target) {
  const { reply } = await greet(connection, target);
  if (reply instanceof ReplyError) throw new Refused(`it refused the user or password (${reply.code || 'ERR'})`);
  if (target.database === 0) return;
  const selected = await connection.ask('SELECT', target.database);
  if (selected instanceof ReplyError) throw new Refused('it refused the database of the URL');
}

/**
 * Says who we are: by HELLO, or by AUTH where the server does not know HELLO or denies it. `reply` is the last word of
 * the server, a ReplyError where it is refused.
 * @param {Connection} connection
 * @param {Target} target
 * @returns {Promise<{ protocol: 2 | 3, reply: Reply, refusal: ReplyError | null }>} `refusal`: that of HELLO
 */
async function greet(connection, { user, password }) {
  const credentials = password === null ? [] : ['AUTH', user ?? 'default', password];
  const hello = await connection.ask('HELLO', 3, ...credentials);
  if (!(hello instanceof ReplyError)) return { protocol: 3, reply: hello, refusal: null };
  // Valkey wants the password before it says that it does not know HELLO, which would have brought it.
  const withoutHello =
    ['NOPERM', 'ERR', 'NOPROTO', ''].includes(hello.code) && !/without any password/.test(hello.details);
  if (!withoutHello && !(hello.code === 'NOAUTH' && password !== null)) {
    return { protocol: 3, reply: hello, refusal: hello };
  }
  if (password === null) return { protocol: 2, reply: null, refusal: hello };
  let reply = await connection.ask('AUTH', ...(user === null ? [] : [user]), password);
  // Before version 6 there were no users, only a password.
  if (reply instanceof ReplyError && /wrong number of arguments/.test(reply.details)) {
    reply = await connection.ask('AUTH', password);
  }
  return { protocol: 2, reply, refusal: hello };
}

module.exports = { Refused, greet, open };
