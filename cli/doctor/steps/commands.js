// What the server lets this user do: each command that Holdfast sends is tried, in a form that changes nothing.
'use strict';

const { Late, ReplyError } = require('../../redis/connection.js');
const { COMMANDS } = require('../../redis/commands.js');
const { text } = require('../../redis/resp.js');
const { refusal } = require('../../redis/refusal.js');

/** @typedef {import('../exam.js').Exam} Exam */
/** @typedef {import('../exam.js').Deadline} Deadline */
/** @typedef {import('../../redis/commands.js').Command} Command */

/** Milliseconds of the step that are kept for the commands that write. */
const WRITES_MS = 200;
/** Behind the prefix: a key that nobody has. The engine tries commands there, too. */
const PROBE = '\0holdfast\0probe\0a';
const LEVELS = /** @type {const} */ (['note', 'warning', 'problem']);

/** What a server says that takes no writes for now. */
const STATES = /** @type {Record<string, [string, import('../report.js').Said]>} */ ({
  MISCONF: [
    'writes.misconf',
    {
      measured: 'the server refuses every write, as its snapshots fail (MISCONF)',
      why: 'nothing is stored, and counted in errors.refused; reads go on',
      mend: ['redis-cli CONFIG SET stop-writes-on-bgsave-error no   # for a cache; or mend the disk: CONFIG GET dir'],
    },
  ],
  NOREPLICAS: [
    'writes.noreplicas',
    {
      measured: 'the server refuses every write, as it has too few replicas (NOREPLICAS)',
      why: 'nothing is stored, and counted in errors.refused; reads go on',
      mend: ['redis-cli CONFIG SET min-replicas-to-write 0   # or start the replicas'],
    },
  ],
  OOM: [
    'writes.oom',
    {
      measured: 'the server is full and refuses writes (OOM)',
      why: 'nothing is stored, and counted in errors.oom; reads and deletes go on',
      mend: ['redis-cli CONFIG SET maxmemory-policy allkeys-lru   # or more room: CONFIG SET maxmemory 1gb'],
    },
  ],
});

/** @type {import('../exam.js').Examination} */
const commands = {
  name: 'commands',
  async run(exam, deadline) {
    const wanted = COMMANDS.filter((command) => applies(command, exam) && command.tries !== undefined);
    /** @type {Map<Command, ReplyError>} */
    const refused = new Map();
    await tried(
      exam,
      wanted.filter(({ writes }) => !writes),
      refused,
      deadline.leaving(WRITES_MS),
    );
    await dryRun(exam, refused, deadline);
    try {
      await tried(
        exam,
        wanted.filter(({ writes }) => writes),
        refused,
        deadline,
      );
    } catch (error) {
      if (!(error instanceof Late)) throw error;
      exam.report.add('problem', 'writes.paused', {
        measured: 'reads are answered and writes are not: somebody pauses them (CLIENT PAUSE … WRITE)',
        why: 'each write waits for its deadline and is an outage, until the pause ends by itself',
        mend: ['redis-cli CLIENT UNPAUSE'],
      });
    }
    tell(exam, refused, wanted.length);
  },
};

/**
 * @param {Command} command
 * @param {Exam} exam
 */
function applies({ of }, { isCluster, target }) {
  if (of === 'cluster') return isCluster;
  if (of === 'database') return target.database !== 0;
  return of !== 'sentinel';
}

/**
 * @param {Exam} exam
 * @param {Command[]} wanted
 * @param {Map<Command, ReplyError>} refused
 * @param {Deadline} deadline
 */
async function tried({ connection, prefix, target }, wanted, refused, deadline) {
  const replies = wanted.map((command) => {
    const [first, ...others] = command.tries?.(prefix + PROBE) ?? [];
    const words = command.words === 'SELECT' ? ['SELECT', target.database] : first;
    const reply = connection.ask(...words);
    for (const other of others) connection.ask(...other).catch(() => {});
    return reply;
  });
  for (const [n, reply] of (await deadline.race(Promise.all(replies))).entries()) {
    const kind = refusal(reply);
    if (!(reply instanceof ReplyError) || kind === 'other') continue;
    if (kind !== 'unknown' || !wanted[n].newer) refused.set(wanted[n], reply);
  }
}

/**
 * What has no form that is safe to try is asked about, where the user may ask.
 * @param {Exam} exam
 * @param {Map<Command, ReplyError>} refused
 * @param {Deadline} deadline
 */
async function dryRun({ connection, prefix }, refused, deadline) {
  const user = text(await deadline.race(connection.ask('ACL', 'WHOAMI')));
  if (user === undefined) return;
  const asked = [
    ['FLUSHDB', 'ASYNC'],
    ['SADD', prefix + PROBE, ''],
  ];
  const replies = await deadline.race(connection.askAll(asked.map((words) => ['ACL', 'DRYRUN', user, ...words])));
  for (const [n, [name]] of asked.entries()) {
    const command = COMMANDS.find(({ words }) => words === name);
    const said = text(replies[n]);
    if (command && said !== undefined && said !== 'OK') refused.set(command, new ReplyError(`NOPERM ${said}`));
  }
}

/**
 * @param {Exam} exam
 * @param {Map<Command, ReplyError>} refused
 * @param {number} count
 */
function tell(exam, refused, count) {
  const { report } = exam;
  const scriptless = [...refused.keys()].some(({ words }) => words === 'EVAL' || words === 'EVALSHA');
  const told = [...refused].filter(([command]) => scriptless || command.of !== 'scriptless');
  /** @param {import('../../redis/refusal.js').Kind} kind */
  const of = (kind) => told.filter(([, reply]) => refusal(reply) === kind).map(([command]) => command);
  const [denied, unknown, keys] = [of('denied'), of('unknown'), of('key')];
  const hello = COMMANDS.find(({ words }) => words === 'HELLO');
  if (exam.withoutHello !== null && hello) (exam.withoutHello === 'denied' ? denied : unknown).unshift(hello);
  if (denied.length > 0) {
    report.add(worst(denied), 'acl.denied', {
      measured: `the ACL denies this user: ${names(denied).join(', ')}`,
      why: consequences(denied),
      mend: [`ACL SETUSER ${exam.userName} ${denied.map(({ grant }) => grant).join(' ')}`],
      data: { commands: names(denied) },
    });
  }
  if (unknown.length > 0) {
    report.add(worst(unknown), 'commands.unknown', {
      measured: `the server does not know: ${names(unknown).join(', ')} (renamed away, or too old)`,
      why: consequences(unknown),
      mend: mendUnknown(unknown, refused),
      data: { commands: names(unknown) },
    });
  }
  if (keys.length > 0) keysDenied(exam, keys);
  const state = [...refused.values()].find((reply) => reply.code in STATES);
  if (state) report.add('problem', ...STATES[state.code]);
  const fine = denied.length + unknown.length + keys.length === 0;
  if (fine) report.ok('commands.allowed', `all ${count} commands that Holdfast sends here may be used`, { count });
}

/**
 * A command may have been renamed; a subcommand that the server does not know is one of a newer server.
 * @param {Command[]} unknown
 * @param {Map<Command, ReplyError>} refused
 */
function mendUnknown(unknown, refused) {
  const isSub = (/** @type {Command} */ command) => /sub-?command/i.test(refused.get(command)?.details ?? '');
  const words = unknown.filter((command) => !isSub(command)).map((command) => command.words.split(' ')[0]);
  const renamed = [...new Set(words)].join('|');
  const mend = [];
  if (renamed !== '') {
    mend.push(
      `sed -i -E '/^rename-command (${renamed}) /d' redis.conf   # and restart it; an ACL denies without hiding`,
    );
  }
  if (unknown.some(isSub)) mend.push('https://valkey.io/download   # or another version or plan: docs/providers.md');
  return mend;
}

/**
 * @param {Exam} exam
 * @param {Command[]} refused
 */
function keysDenied(exam, refused) {
  const { report, given } = exam;
  const data = { commands: names(refused) };
  if (given.namespace === '') {
    report.add('warning', 'acl.keys-of-its-own', {
      measured: 'the ACL denies this user keys that begin with NUL, and the cache has no namespace',
      why: 'keys of tags, refreshes and leases begin so: entries with tags are misses, and each process refreshes for itself',
      mend: [`HOLDFAST_NAMESPACE=NAME   # and ACL SETUSER ${exam.userName} ~NAME:*`],
      data,
    });
    return;
  }
  const onlyWrites = refused.every(({ writes }) => writes);
  report.add('problem', 'acl.keys', {
    measured: `the ACL lets this user ${onlyWrites ? 'only read' : 'not use'} the keys of the namespace ${given.namespace}`,
    why: `${onlyWrites ? '' : 'each read is a miss, '}each write is lost and counted in errors.denied; health() is degraded`,
    mend: [`ACL SETUSER ${exam.userName} ~${given.namespace}:*`],
    data,
  });
}

/** @param {Command[]} list */
function names(list) {
  return list.map(({ words }) => words);
}

/** @param {Command[]} list */
function worst(list) {
  return LEVELS[Math.max(...list.map(({ weight }) => LEVELS.indexOf(weight)))];
}

/**
 * What follows, said once for all commands of which it follows.
 * @param {Command[]} list
 */
function consequences(list) {
  /** @type {Map<string, string[]>} */
  const by = new Map();
  for (const { words, without } of list) by.set(without, [...(by.get(without) ?? []), words]);
  return [...by].map(([without, words]) => `${words.join(' and ')}: ${without}`).join('; ');
}

module.exports = { commands };
