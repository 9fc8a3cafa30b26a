// RESP3 and client tracking: whether the near cache can be on.
//
// A server that accepts CLIENT TRACKING may still sit behind a proxy that passes no pushes on. Only a write shows that,
// and the doctor makes none unless it is told to.
'use strict';

const { randomUUID } = require('node:crypto');
const { Late, ReplyError } = require('../../redis/connection.js');
const { open } = require('../../redis/open.js');
const { text } = require('../../redis/resp.js');
const { refusal } = require('../../redis/refusal.js');
const { millis } = require('../report.js');

/** @typedef {import('../exam.js').Exam} Exam */
/** @typedef {import('../exam.js').Deadline} Deadline */

/** Milliseconds after which the key of the write test ends by itself. */
const KEY_MS = 1_000;
/** Keys of which one lies on the node that is examined, but for one in a million, where it has a tenth of the slots. */
const MOST_TRIED = 128;
const OFF = 'the near cache is off: each read is a trip. It works in outages as ever';

/** @type {import('../exam.js').Examination} */
const pushes = {
  name: 'pushes',
  async run(exam, deadline) {
    const { connection, report, protocol, given } = exam;
    if (protocol === 2) {
      report.add('warning', 'pushes.resp2', {
        measured: 'the server refuses HELLO 3 (not known, renamed or denied), and RESP2 is spoken',
        why: OFF,
        mend: [
          'sed -i "/rename-command HELLO/d" redis.conf   # Redis 6 or newer, and no proxy that speaks RESP2 alone',
        ],
      });
      return;
    }
    const tracking = await deadline.race(connection.ask('CLIENT', 'TRACKING', 'ON'));
    if (tracking instanceof ReplyError) {
      const isDenied = refusal(tracking) === 'denied';
      report.add('warning', 'pushes.tracking', {
        measured: `CLIENT TRACKING is ${isDenied ? 'denied by the ACL' : 'not known, or refused'}`,
        why: OFF,
        mend: isDenied
          ? [`ACL SETUSER ${exam.userName} +client|tracking`]
          : ['https://valkey.io/download   # a server, version or plan with CLIENT TRACKING: docs/providers.md'],
        data: { isDenied },
      });
      return;
    }
    if (given.writeTest) await written(exam, deadline);
    else {
      const how = 'that an invalidation arrives is not proved without a write: --write-test';
      report.ok('pushes.accepted', `RESP3, and CLIENT TRACKING is accepted; ${how}`);
    }
    // What is read from here on need not be tracked.
    await deadline.race(connection.ask('CLIENT', 'TRACKING', 'OFF'));
  },
};

/**
 * Reads a key here, writes it on a second connection, and waits for the push.
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function written(exam, deadline) {
  const { connection, report, target, trust, given } = exam;
  const key = await readKey(exam, deadline);
  const arrived = new Promise((resolve) => {
    connection.onPush((push) => {
      const [kind, keys] = Array.isArray(push) ? push : [];
      if (text(kind) === 'invalidate' && Array.isArray(keys) && keys.some((each) => text(each) === key)) resolve(true);
    });
  });
  // At the same address: the name has been resolved.
  const same = { ...target, host: exam.addresses[0]?.address ?? target.host };
  const other = await open(same, /** @type {any} */ (trust), deadline, given.servername ?? target.host);
  try {
    const set = await deadline.race(other.ask('SET', key, '', 'PX', KEY_MS));
    if (set instanceof ReplyError) {
      report.add('note', 'pushes.untested', {
        measured: `the key of the write test was refused (${set.code || 'ERR'})`,
        why: 'whether invalidations arrive is not known',
        mend: ['npx holdfast doctor --write-test   # once writes are allowed'],
      });
      return;
    }
    const began = performance.now();
    await deadline.race(arrived);
    const ms = performance.now() - began;
    report.ok('pushes.arrive', `a write on one connection was heard on another ${millis(ms)} after its reply`, { ms });
  } catch (error) {
    if (!(error instanceof Late)) throw error;
    report.add('problem', 'pushes.lost', {
      measured: `a key was written, and no invalidation arrived within ${Math.round(deadline.ms)} ms`,
      why: 'a proxy swallows pushes: the near cache would serve what other processes have changed',
      mend: ['HOLDFAST_NEAR_CACHE=0   # or the way around the proxy'],
    });
  } finally {
    other.close();
  }
}

/**
 * A key of our own that has been read, and so is tracked. Of a cluster it must be this node's: of so many one is.
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function readKey({ connection, isCluster, prefix }, deadline) {
  const names = Array.from(
    { length: isCluster ? MOST_TRIED : 1 },
    () => `${prefix}\0holdfast\0doctor\0${randomUUID()}`,
  );
  const replies = await deadline.race(connection.askAll(names.map((name) => ['GET', name])));
  const good = replies.findIndex((reply) => !(reply instanceof ReplyError));
  return names[Math.max(good, 0)];
}

module.exports = { pushes };
