// What the refusal of a command says: of the command, of its key, or of the server's state. As the engine tells them
// apart (src/engine/net/reply.rs): only the first word is a code, and the rest differs by server and version.
'use strict';

const { ReplyError } = require('./resp.js');

/**
 * `denied`, `unknown`: the command. `key`: the key at which it was tried. `state`: nothing of the command; the server
 * takes none, or no writes, and `code` says why. `other`: what a command says that came through.
 * @typedef {'denied' | 'unknown' | 'key' | 'state' | 'other'} Kind
 */

/** Codes that speak of the server, not of the command. */
const STATES = ['READONLY', 'LOADING', 'MASTERDOWN', 'BUSY', 'MISCONF', 'NOREPLICAS', 'OOM', 'CLUSTERDOWN'];

const UNKNOWN = [
  'unknown command',
  'unknown subcommand',
  'unknown sub-command',
  'unsupported command',
  'command is not available',
  'Unknown Redis command called from',
];
/** Redis 7 and later, Redis 6, and those before; and what runs within scripts. */
const DENIED_KEY = ['access one of the key', 'access a key', 'access at least one of the key', "' key"];
const IN_SCRIPT = ['ACL failure in script', 'The user executing the script'];

/**
 * @param {unknown} reply
 * @returns {Kind | null} null where it is no refusal
 */
function refusal(reply) {
  if (!(reply instanceof ReplyError)) return null;
  const { code, details } = unwrapped(reply);
  if (STATES.includes(code)) return 'state';
  const begins = (/** @type {string[]} */ words) =>
    words.some((each) => details.toLowerCase().startsWith(each.toLowerCase()));
  const says = (/** @type {string[]} */ words) => words.some((each) => details.includes(each));
  if (code === 'NOPERM' || (code === 'ERR' && begins(IN_SCRIPT))) return says(DENIED_KEY) ? 'key' : 'denied';
  if (code === 'ERR' && begins(UNKNOWN)) return 'unknown';
  if (code === 'ERR' && begins(['Error running script'])) {
    if (says(IN_SCRIPT)) return says(DENIED_KEY) ? 'key' : 'denied';
    if (says(['Unknown Redis command called from'])) return 'unknown';
  }
  // Redis Software says it in words of its own.
  if (code === 'ERR' && /^command '[^']+' is not allowed/i.test(details)) return 'denied';
  return 'other';
}

/**
 * An EXEC that is refused itself says why in the words of another error.
 * @param {ReplyError} reply
 */
function unwrapped(reply) {
  const inner = /^Transaction discarded because of: (.*)$/s.exec(reply.code === 'EXECABORT' ? reply.details : '');
  return inner === null ? reply : new ReplyError(inner[1]);
}

module.exports = { refusal };
