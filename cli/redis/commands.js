// The commands that Holdfast sends, each with what does not work without it, and how it can be tried on a server
// without changing anything there. A test compares the list with the engine's sources.
//
// **Trying.** An ACL speaks before a command looks at its arguments, so a command that changes nothing shows whether it
// may be used: at a key where nothing lies, with XX, or with an argument that the command itself refuses. FLUSHDB and
// SADD have no such form, and are never sent; ACL DRYRUN tells, where the user may ask it.
'use strict';

/**
 * `words`: as the ACL names it. `grant`: what the ACL must have. `weight`: how much is lost without it. `writes`: it
 * waits while a server pauses writes. `of`: the servers that are asked it, where not all; the scriptless are those that
 * deny scripts. `newer`: older servers do not know it, and nobody need be told.
 * @typedef {{ words: string, grant: string, without: string, weight: 'note' | 'warning' | 'problem', writes?: boolean,
 *   newer?: boolean, of?: 'cluster' | 'sentinel' | 'database' | 'scriptless', tries?: (key: string) => (string |
 *   number)[][] }} Command
 */

const SCRIPTS = 'getOrCompute computes once a process, not once in all; expire takes two trips';
const HOLD = 'runExclusive treats Redis as away, as scripts are denied, too';
const KILL = 'what a lost connection had sent may still be executed behind the recovery';
/** The number of no connection: servers count them from 1. */
const NOBODY = '9223372036854775807';

/** @type {Command[]} */
const COMMANDS = [
  command('GET', 'problem', 'each single read is a miss', (key) => [['GET', key]]),
  command('MGET', 'note', 'GET is used', (key) => [['MGET', key]]),
  writing('SET', 'problem', 'nothing is stored', (key) => [['SET', key, '', 'XX', 'PX', 1]]),
  writing('DEL', 'warning', 'leases are not given up early; without UNLINK nothing is deleted', (key) => [
    ['DEL', key],
  ]),
  writing('UNLINK', 'note', 'DEL is used, which frees large values in the foreground', (key) => [['UNLINK', key]]),
  writing('PEXPIRE', 'warning', 'expire does nothing', (key) => [['PEXPIRE', key, 1]]),
  writing('PERSIST', 'note', 'expire(key, Infinity) does nothing', (key) => [['PERSIST', key]]),
  command('PTTL', 'warning', 'nothing is kept in process, and an entry with swr or grace is a miss', (key) => [
    ['PTTL', key],
  ]),
  command('GETRANGE', 'warning', 'exists, ttl and expire know nothing', (key) => [['GETRANGE', key, 0, 0]]),
  command('STRLEN', 'note', 'inspect says 0 bytes', (key) => [['STRLEN', key]]),
  writing('SETRANGE', 'note', 'soft ends of entries that have a header are whole ones', (key) => [
    ['SETRANGE', key, 0, ''],
  ]),
  writing('GETDEL', 'note', 'take reads and removes in a transaction', (key) => [['GETDEL', key]]),
  writing('INCRBY', 'warning', 'increment counts in process alone', (key) => [['INCRBY', key, 'no-number']]),
  // How runExclusive does without scripts. SADD has no form that changes nothing.
  { ...writing('SADD', 'warning', HOLD, undefined), of: 'scriptless' },
  { ...writing('SREM', 'warning', HOLD, (key) => [['SREM', key, '']]), of: 'scriptless' },
  { ...command('SISMEMBER', 'warning', HOLD, (key) => [['SISMEMBER', key, '']]), of: 'scriptless' },
  { ...writing('RENAMENX', 'warning', HOLD, (key) => [['RENAMENX', key, key]]), of: 'scriptless' },
  // An empty transaction.
  command('MULTI', 'note', 'a counter with a ttl is made in two steps', () => [['MULTI'], ['EXEC']]),
  command('EXEC', 'note', 'a counter with a ttl is made in two steps', () => [['EXEC']]),
  command('SCAN', 'warning', 'delPattern and clear remove nothing in Redis, scan names no key', (key) => [
    ['SCAN', 0, 'MATCH', key, 'COUNT', 1],
  ]),
  command('DBSIZE', 'note', 'getStats().keys is unknown', () => [['DBSIZE']]),
  command('FLUSHDB', 'note', 'clear({ flushDb: true }) removes nothing in Redis', undefined),
  writing('EVAL', 'warning', SCRIPTS, () => [['EVAL', 'return 1', 0]]),
  // Nobody has loaded it: NOSCRIPT is leave to run it.
  writing('EVALSHA', 'warning', SCRIPTS, () => [['EVALSHA', '0'.repeat(40), 0]]),
  command('SCRIPT LOAD', 'note', 'the first use of each script brings its text', () => [
    ['SCRIPT', 'LOAD', 'return 1'],
  ]),
  command('TIME', 'note', 'tagTimes knows no times', () => [['TIME']]),
  command('PING', 'problem', 'an outage is not noticed without traffic', () => [['PING']]),
  command('ECHO', 'note', 'a reply too many or too few among reads is not noticed', () => [['ECHO', '']]),
  command('INFO', 'note', 'getStats().redis is empty, and a restart is not told from a lost connection', () => [
    ['INFO', 'server'],
  ]),
  command('ROLE', 'note', 'a replica is noticed by its first refusal alone', () => [['ROLE']]),
  command('HELLO', 'warning', 'RESP2 is spoken: nothing is kept in process while Redis is up', undefined),
  command('AUTH', 'problem', 'a server without HELLO is given no password', undefined),
  { ...command('SELECT', 'problem', 'the URL must name no database', () => [['SELECT', 0]]), of: 'database' },
  command('CLIENT SETNAME', 'note', 'the connection has no name in CLIENT LIST', () => [
    ['CLIENT', 'SETNAME', 'holdfast-doctor'],
  ]),
  {
    ...command('CLIENT SETINFO', 'note', 'CLIENT LIST does not tell the version of Holdfast', () => [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'holdfast-doctor'],
    ]),
    newer: true,
  },
  command('CLIENT ID', 'warning', KILL, () => [['CLIENT', 'ID']]),
  command('CLIENT KILL', 'warning', KILL, () => [['CLIENT', 'KILL', 'ID', NOBODY]]),
  command('CLIENT TRACKING', 'warning', 'nothing is kept in process while Redis is up: each read is a trip', () => [
    ['CLIENT', 'TRACKING', 'OFF'],
  ]),
  { ...command('CLUSTER SLOTS', 'problem', 'the nodes are not found', () => [['CLUSTER', 'SLOTS']]), of: 'cluster' },
  { ...command('CLUSTER INFO', 'note', 'HELLO alone tells the mode', () => [['CLUSTER', 'INFO']]), of: 'cluster' },
  { ...command('READONLY', 'note', "readFrom: 'replica' does not work", () => [['READONLY']]), of: 'cluster' },
  { ...command('ASKING', 'warning', 'keys of a slot that moves are misses', () => [['ASKING']]), of: 'cluster' },
  { ...command('SENTINEL GET-MASTER-ADDR-BY-NAME', 'problem', 'the primary is not found', undefined), of: 'sentinel' },
  { ...command('SENTINEL SENTINELS', 'note', 'the other sentinels are not found', undefined), of: 'sentinel' },
  { ...command('SUBSCRIBE', 'note', 'a failover is noticed by the lost connection alone', undefined), of: 'sentinel' },
];

/**
 * @param {string} words
 * @param {Command['weight']} weight
 * @param {string} without
 * @param {Command['tries']} tries
 * @returns {Command}
 */
function command(words, weight, without, tries) {
  return { words, grant: `+${words.toLowerCase().replace(' ', '|')}`, without, weight, tries };
}

/**
 * @param {string} words
 * @param {Command['weight']} weight
 * @param {string} without
 * @param {Command['tries']} tries
 * @returns {Command}
 */
function writing(words, weight, without, tries) {
  return { ...command(words, weight, without, tries), writes: true };
}

module.exports = { COMMANDS };
