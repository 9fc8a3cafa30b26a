// Owns the kinds of schedules for each topology: those of one server, as far as they say something of several, and
// those in which a server's place is taken by another, or a slot moves.
'use strict';

const { THEMES } = require('./themes');

/** Whether computations are part of a cluster's schedules. */
const CLUSTER_COMPUTES = true;

/** How often a theme in which the fleet changes is chosen, where one of a single server is chosen once. */
const OFTEN = 3;

/**
 * A failover takes a second or two: calls are spread over that time, and what every key reads meanwhile is noted less
 * often.
 */
const SLOW = { pause: [0, 320], lasts: [20, 400], newsMs: 10, weight: OFTEN };
/** A slot moves within a tenth of a second. */
const MOVING = { pause: [0, 60], lasts: [10, 120], newsMs: 5, weight: OFTEN };

const MIXES = {
  mixed: {
    get: 8,
    getMany: 2,
    set: 4,
    del: 3,
    compute: 2,
    increment: 1,
    invalidate: 1,
    sync: 3,
    sweep: 0.3,
    expire: 1,
  },
  deleting: { get: 8, getMany: 2, set: 4, del: 6, sync: 4 },
  counting: { increment: 8, get: 5, sync: 2 },
  tagged: { get: 6, set: 4, invalidate: 4, compute: 2, sync: 3, getMany: 1 },
  computing: { compute: 8, get: 5, del: 4, set: 1, sync: 1 },
  taking: { take: 6, setIfAbsent: 6, get: 4, set: 2, del: 1, compute: 1, sync: 2 },
  softening: { compute: 6, get: 4, del: 3, invalidate: 3, set: 3, sync: 2 },
};

/** The kinds for one server that say something of several. */
const OF_ONE = [
  'mixed',
  'outage',
  'unknown',
  'computing',
  'racing',
  'taking',
  'softening',
  'tags',
  'sweeps',
  'counting',
  'expiry',
  'stale',
  'deaths',
];

/**
 * Calls of a thread that do not wait for each other, to one key above all, while replies take their time and its slot
 * moves: some are with the old owner, some on their way back, some called then. `tagged`: their batches read what has
 * tags, whose tokens have to be asked for elsewhere, and store and end such.
 *
 * They are run where they are asked for (`--kind`, `--mutant`): docs/reliability.md says what they find.
 */
const STREAM = {
  weight: 0,
  faults: { lag: 1 },
  faulty: ['a'],
  certain: true,
  at: { lag: [0, 10] },
  lasts: [150, 300],
  lag: [5, 20],
  falls: { move: 3, half: 1 },
  fallAt: [0, 80],
  timeoutMs: [500, 700],
  stream: [20, 50],
  focus: 0.6,
  newsMs: 5,
};
const STREAMS = {
  'stream-plain': { ...STREAM, ops: { get: 6, set: 6, del: 2, sync: 0.3 }, keys: [1, 3] },
  'stream-tagged': {
    ...STREAM,
    ops: { set: 6, get: 4, getMany: 4, del: 2, invalidate: 3, sync: 0.3 },
    keys: [3, 6],
    tagged: 0.7,
    near: 0.2,
  },
};

/** A slot moves while a process does not reach its owner, and does on to others what it has to undo then. */
const BEHIND = {
  behind: {
    ops: { get: 6, getMany: 2, set: 4, del: 6, invalidate: 1, sync: 2 },
    faults: { blackhole: 2, cut: 1, lag: 1 },
    falls: { behind: 1 },
    fallAt: [0, 60],
    at: { blackhole: [300, 900], cut: [0, 900] },
    lasts: [60, 250],
    pause: [0, 90],
    tagged: 0.3,
    keys: [1, 3],
    focus: 0.6,
    newsMs: 10,
  },
};

/** Sentinels name a replica that takes writes. */
const MISLED = {
  misled: {
    ops: { get: 6, getMany: 1, set: 5, del: 3, sync: 4, increment: 1 },
    faults: { mislead: 1 },
    certain: true,
    at: { mislead: [5, 60] },
    lasts: [100, 300],
    pause: [0, 40],
  },
};

const NETWORK = { blackhole: 2, stall: 1, deafen: 1, cut: 1, kill: 1, freeze: 1, lag: 1 };

/** The mixes of calls, each in schedules with one of these falls. */
function falling(prefix, { falls, faults, pace, counters = 2 }) {
  const at = Object.fromEntries(Object.keys(faults).map((kind) => [kind, [0, 4 * pace.pause[1]]]));
  const theme = (ops, more) => ({ ops, faults, falls, at, ...pace, ...more });
  return {
    [`${prefix}-mixed`]: theme(MIXES.mixed, {}),
    [`${prefix}-deleting`]: theme(MIXES.deleting, { foreign: { set: 3, del: 3 } }),
    [`${prefix}-counting`]: theme(MIXES.counting, { counters, weight: 1 }),
    [`${prefix}-tagged`]: theme(MIXES.tagged, { tagged: 0.8, weight: 1 }),
    [`${prefix}-taking`]: theme(MIXES.taking, { tagged: 0.2, weight: 1 }),
    [`${prefix}-softening`]: theme(MIXES.softening, { stale: 0.85, soft: 0.75, tagged: 0.5, weight: 1 }),
    [`${prefix}-computing`]: theme(MIXES.computing, { computes: [3, 60], foreign: { set: 1, del: 4 } }),
  };
}

/** Themes of one server with these faults as well. */
function withFaults(names, more) {
  return Object.fromEntries(
    names.map((name) => [name, { ...THEMES[name], faults: { ...THEMES[name].faults, ...more } }]),
  );
}

function withoutComputations(themes) {
  const kept = Object.entries(themes).filter(([, { ops }]) => !(ops.compute > 4));
  return Object.fromEntries(kept.map(([name, theme]) => [name, { ...theme, ops: { ...theme.ops, compute: 0 } }]));
}

/** A sentinel lies, and is stopped. */
const WATCHERS = { lie: 1, mute: 1 };

const sentinel = {
  ...withFaults([...OF_ONE, 'naming'], WATCHERS),
  ...falling('failover', {
    falls: { die: 2, hang: 2, promote: 3 },
    faults: { ...NETWORK, lie: 3, mute: 2 },
    pace: SLOW,
  }),
  ...MISLED,
};

const cluster = {
  ...withFaults(OF_ONE, {}),
  ...STREAMS,
  ...BEHIND,
  ...falling('failover', {
    falls: { die: 2, hang: 2, promote: 3, force: 1, takeover: 1 },
    faults: { ...NETWORK, stop: 1 },
    pace: SLOW,
  }),
  ...falling('move', { falls: { move: 3, drop: 2, half: 1 }, faults: { ...NETWORK, stop: 1 }, pace: MOVING }),
};

const FLEETS = { single: THEMES, sentinel, cluster: CLUSTER_COMPUTES ? cluster : withoutComputations(cluster) };

module.exports = { FLEETS };
