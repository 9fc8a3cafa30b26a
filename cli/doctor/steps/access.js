// The first words: what the port speaks, whether it knows us, and whether it has the database.
//
// The first of them is a PING without a password, so that no password goes to a program that is no Redis.
'use strict';

const { Connection, Late, Lost, ProtocolError, ReplyError } = require('../../redis/connection.js');
const { greet } = require('../../redis/open.js');
const { refusal: refusalOf } = require('../../redis/refusal.js');
const { millis } = require('../report.js');
const { CLIENT_CERTIFICATE, speaksTls, wantsCertificate } = require('./network.js');

/** @typedef {import('../exam.js').Exam} Exam */
/** @typedef {import('../exam.js').Deadline} Deadline */
/** @typedef {import('../report.js').Said} Said */

/** Milliseconds of the step that are kept for trying TLS on the port. */
const OTHER_MS = 150;
const MEMORY = 'the cache runs in memory mode until this is mended; it tries again by itself';

/** @type {import('../exam.js').Examination} */
const access = {
  name: 'access',
  late: {
    measured: 'the server accepts connections and answers nothing',
    why: 'it is stopped, swaps, or runs a slow command: each call of the cache is answered in process',
    mend: ['redis-cli --latency   # and, once it answers: redis-cli SLOWLOG GET 10'],
  },
  async run(exam, deadline) {
    const connection = new Connection(/** @type {import('node:net').Socket} */ (exam.socket));
    exam.open = connection;
    const began = performance.now();
    const first = await firstWord(exam, deadline);
    if (first === undefined) return false;
    const stops = first instanceof ReplyError ? atTheDoor(first) : null;
    if (stops !== null) {
      exam.report.add('problem', ...stops);
      return false;
    }
    const { protocol, reply, refusal } = await deadline.race(greet(connection, exam.target));
    if (reply instanceof ReplyError) {
      exam.report.add('problem', ...notLetIn(reply, exam.target.password !== null));
      return false;
    }
    exam.protocol = protocol;
    exam.withoutHello = protocol === 2 ? refusalOf(refusal) : null;
    if (reply instanceof Map) exam.hello = reply;
    // A server without HELLO is told a password by AUTH, and has not said that it wants one but to the PING.
    if (refusal !== null && first instanceof ReplyError && first.code === 'NOAUTH' && exam.target.password === null) {
      exam.report.add('problem', ...notLetIn(first, false));
      return false;
    }
    const ms = performance.now() - began;
    openDoor(exam, first === 'PONG');
    exam.report.ok('access.granted', `let in within ${millis(ms)}, over RESP${protocol}`, { ms, protocol });
    return selected(exam, deadline);
  },
};

/**
 * The reply to a PING; undefined where there is none, which is reported then.
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function firstWord(exam, deadline) {
  const { connection, report, target } = exam;
  try {
    return await deadline.leaving(target.tls ? 0 : OTHER_MS).race(connection.ask('PING'));
  } catch (error) {
    if (error instanceof Lost && target.tls && wantsCertificate(error.code)) {
      report.add('problem', 'tls.client-certificate', CLIENT_CERTIFICATE);
      return undefined;
    }
    if (!target.tls && (await speaksTls(exam, deadline))) {
      report.add('problem', 'tls.needed', {
        measured: 'the URL is one without TLS, and the port speaks TLS',
        why: MEMORY,
        mend: ['REDIS_URL=rediss://…   # rediss in place of redis, or the plain port'],
      });
      return undefined;
    }
    if (error instanceof Late) throw error;
    if (error instanceof ProtocolError) {
      report.add('problem', 'access.no-redis', {
        measured: 'what answers at this port does not speak the protocol of Redis',
        why: MEMORY,
        mend: ['ss -ltnp   # on the server: which program has the port?'],
      });
      return undefined;
    }
    if (!(error instanceof Lost)) throw error;
    report.add('problem', 'access.hung-up', {
      measured: `the port accepts the connection and ends it without a word${error.code ? ` (${error.code})` : ''}`,
      why: `a proxy or load balancer without a server behind it, or a firewall: ${MEMORY}`,
      mend: ["redis-cli -h HOST -p PORT PING   # from the server's own network; then look at what is between"],
    });
    return undefined;
  }
}

/**
 * What keeps everybody out, whoever they are; null where it only wants to know who we are.
 * @param {ReplyError} reply
 * @returns {[string, Said] | null}
 */
function atTheDoor({ code, details }) {
  if (code === 'DENIED') {
    const measured = 'the server is in protected mode, and takes connections from its own host alone';
    return ['access.protected-mode', { measured, why: MEMORY, mend: ['redis-cli CONFIG SET requirepass PASSWORD'] }];
  }
  if (/^max number of clients/.test(details)) {
    const measured = 'the server has reached its maxclients, and lets nobody in';
    const mend = ['redis-cli CONFIG SET maxclients 10000', 'redis-cli CLIENT LIST   # who has so many connections?'];
    return ['access.maxclients', { measured, why: MEMORY, mend }];
  }
  if (code === 'LOADING') {
    const measured = 'the server loads its data, and answers nothing else meanwhile';
    const mend = ['redis-cli INFO persistence | grep loading_eta_seconds   # it comes back by itself'];
    return ['server.loading', { measured, why: MEMORY, mend }];
  }
  if (code === 'BUSY' || code === 'UNKILLABLE') {
    const measured = 'the server is busy with a script of somebody, and answers nothing else meanwhile';
    const mend = ['redis-cli SCRIPT KILL   # ends it, where it has written nothing yet'];
    return ['server.busy', { measured, why: MEMORY, mend }];
  }
  if (code === 'MASTERDOWN') {
    const measured = 'the server is a replica that has lost its primary, and serves nothing stale';
    return ['server.masterdown', { measured, why: MEMORY, mend: ['redis-cli INFO replication   # name the primary'] }];
  }
  return null;
}

/**
 * @param {ReplyError} reply
 * @param {boolean} hasPassword
 * @returns {[string, Said]}
 */
function notLetIn({ code, details }, hasPassword) {
  const encoded = 'npx holdfast doctor   # a % of the password is written %25 in the URL, @ %40, : %3A, / %2F';
  if (code === 'WRONGPASS' || /^invalid (username-)?password/.test(details)) {
    return [
      'access.wrong-password',
      {
        measured: 'the server refuses the user or the password of the URL (WRONGPASS)',
        why: `no such user, another password, or the user is off: ${MEMORY}`,
        mend: ['redis-cli ACL LIST   # as an administrator: is the user there, and on?', encoded],
      },
    ];
  }
  if (code === 'NOAUTH' && !hasPassword) {
    const measured = 'the server wants a password, and the URL has none (NOAUTH)';
    return ['access.no-password', { measured, why: MEMORY, mend: ['REDIS_URL=redis://USER:PASSWORD@HOST:6379'] }];
  }
  if (/without any password|no password is set/.test(details)) {
    const measured = 'the server has no password, and the URL has one';
    return ['access.surplus-password', { measured, why: MEMORY, mend: ['REDIS_URL=redis://HOST:6379'] }];
  }
  return [
    'access.refused',
    {
      measured: `the server refuses the greeting (${code || 'ERR'})`,
      why: MEMORY,
      mend: ['redis-cli -u "$REDIS_URL" PING'],
    },
  ];
}

/**
 * A server that asks nobody for a password.
 * @param {Exam} exam
 * @param {boolean} isOpen
 */
function openDoor({ report, target, addresses }, isOpen) {
  const isLocal = target.path !== '' || addresses.every(({ address }) => /^(127\.|::1$)/.test(address));
  if (!isOpen || isLocal) return;
  report.add('warning', 'access.open', {
    measured: 'the server answers without a password, at an address that is not its own host',
    why: 'whoever reaches the port can read and change what the cache serves',
    mend: ['redis-cli CONFIG SET requirepass PASSWORD', 'REDIS_URL=redis://:PASSWORD@HOST:6379'],
  });
}

/**
 * @param {Exam} exam
 * @param {Deadline} deadline
 */
async function selected(exam, deadline) {
  const { connection, report, target } = exam;
  if (target.database === 0) return true;
  const reply = await deadline.race(connection.ask('SELECT', target.database));
  if (!(reply instanceof ReplyError)) return true;
  const data = { database: target.database };
  const why = 'health().lastError has the kind config, and the cache runs in memory mode';
  if (/cluster mode/i.test(reply.details)) {
    const measured = `the URL names database ${target.database}, and a cluster has database 0 alone`;
    report.add('problem', 'database.cluster', { measured, why, mend: ['REDIS_URL=redis://HOST:PORT/0'], data });
  } else if (reply.code === 'NOPERM') {
    const measured = 'the ACL denies this user SELECT, or the database of the URL';
    report.add('problem', 'database.denied', { measured, why, mend: [`ACL SETUSER ${exam.userName} +select`], data });
  } else {
    const measured = `the server has no database ${target.database}`;
    const mend = [
      'REDIS_URL=redis://HOST:PORT/0',
      `databases ${target.database + 1}   # in redis.conf, where it is yours`,
    ];
    report.add('problem', 'database.missing', { measured, why, mend, data });
  }
  return false;
}

module.exports = { access };
