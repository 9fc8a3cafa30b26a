// What the server is set to: memory and eviction, clients, idle connections, snapshots. Judged by what INFO said;
// nothing is asked here.
'use strict';

const { size } = require('../report.js');

/** @typedef {import('../exam.js').Exam} Exam */

/** Parts of a limit from which on it counts as nearly reached. */
const NEARLY_FULL = 0.95;
const MANY_CLIENTS = 0.8;

/** @type {import('../exam.js').Examination} */
const limits = {
  name: 'limits',
  skips: ({ info }) => info.size === 0,
  run(exam) {
    memory(exam);
    evictions(exam);
    clients(exam);
    idle(exam);
    snapshots(exam);
  },
};

/** @param {Exam} exam */
function memory({ report, info }) {
  const [used, max] = ['used_memory', 'maxmemory'].map((name) => Number(info.get(name)));
  const policy = info.get('maxmemory_policy') ?? '';
  if (Number.isNaN(max)) return;
  const data = { usedBytes: used, maxBytes: max, policy };
  const mend = 'redis-cli CONFIG SET maxmemory-policy allkeys-lru   # or the setting of your provider';
  if (max === 0) {
    report.add('warning', 'memory.unbounded', {
      measured: `maxmemory is 0: no bound; ${size(used)} are used`,
      why: 'a cache grows until the machine has no memory left, and the system ends the server',
      mend: ['redis-cli CONFIG SET maxmemory 512mb', mend],
      data,
    });
  } else if (policy === 'noeviction') {
    const full = used / max >= NEARLY_FULL;
    report.add(full ? 'problem' : 'warning', full ? 'memory.full' : 'memory.noeviction', {
      measured: `maxmemory ${size(max)} with the policy noeviction; ${size(used)} are used`,
      why: full
        ? 'the server refuses every write (OOM): what is computed is stored nowhere, and counted in errors.oom'
        : 'once it is full the server refuses every write (OOM), and nothing makes room but expiry',
      mend: [mend],
      data,
    });
  } else if (policy.startsWith('volatile')) {
    report.add('note', 'memory.volatile', {
      measured: `maxmemory ${size(max)} with the policy ${policy}; ${size(used)} are used`,
      why: 'keys without expiry are never evicted: where they fill the server, it refuses writes (OOM)',
      mend: [mend],
      data,
    });
  } else report.ok('memory.evicts', `maxmemory ${size(max)} with ${policy}; ${size(used)} are used`, data);
}

/** @param {Exam} exam */
function evictions({ report, info }) {
  const evicted = Number(info.get('evicted_keys') ?? 0);
  const hours = Number(info.get('uptime_in_seconds') ?? 0) / 3600;
  if (evicted === 0) return;
  report.add('note', 'memory.evictions', {
    measured: `${evicted} keys were evicted since the start, ${Math.round(evicted / Math.max(hours, 1 / 60))} an hour`,
    why: 'the server is full: entries end before their TTL, and are computed again',
    mend: ['redis-cli CONFIG SET maxmemory 1gb   # more room, or shorter TTLs'],
    data: { evicted },
  });
}

/** @param {Exam} exam */
function clients({ report, info }) {
  const [connected, most] = ['connected_clients', 'maxclients'].map((name) => Number(info.get(name)));
  if (Number.isNaN(most) || most === 0) return;
  const data = { connected, most };
  if (connected / most < MANY_CLIENTS) {
    report.ok('clients.room', `${connected} of ${most} clients are connected`, data);
    return;
  }
  report.add('warning', 'clients.many', {
    measured: `${connected} of ${most} clients are connected`,
    why: 'behind maxclients nobody is let in: processes that start, or come back from an outage, stay in memory mode',
    mend: ['redis-cli CONFIG SET maxclients 10000', 'redis-cli CLIENT LIST   # who has so many connections?'],
    data,
  });
}

/** @param {Exam} exam */
function idle({ report, idleSeconds, heartbeat }) {
  if (idleSeconds === null || idleSeconds === 0) return;
  const isShort = heartbeat === 0 || idleSeconds <= heartbeat;
  const beats = heartbeat === 0 ? 'there is no heartbeat (HOLDFAST_HEARTBEAT=0)' : `the heartbeat is ${heartbeat} s`;
  report.add(isShort ? 'warning' : 'note', isShort ? 'clients.timeout' : 'clients.timeout-harmless', {
    measured: `the server ends connections that are idle for ${idleSeconds} s; ${beats}`,
    why: isShort
      ? 'an idle connection is ended again and again: each time an outage of some milliseconds, and a new dial'
      : 'the heartbeat keeps the connection of the cache; other clients may lose theirs',
    mend: ['redis-cli CONFIG SET timeout 0'],
    data: { idleSeconds, heartbeat },
  });
}

/** @param {Exam} exam */
function snapshots({ report, info }) {
  const failing = [
    ['rdb_last_bgsave_status', 'snapshots'],
    ['aof_last_write_status', 'the append-only file'],
  ].filter(([name]) => (info.get(name) ?? 'ok') !== 'ok');
  if (failing.length === 0) return;
  const what = failing.map(([, name]) => name).join(' and ');
  report.add('warning', 'persistence.fails', {
    measured: `the server cannot write ${what}`,
    why: 'unless it is told otherwise it refuses writes then (MISCONF), and a restart loses what was not written',
    mend: ["redis-cli CONFIG GET dir   # is the disk full, or not writable? The server's log says why"],
    data: { what: failing.map(([name]) => name) },
  });
}

module.exports = { limits };
