// Owns the kinds of schedules for one server.
'use strict';

/** Seconds of a life that outlasts every schedule. */
const LONG = 20;

/** What goes on around the end of a server or a process. */
const RESTARTED = { get: 8, getMany: 1, set: 4, del: 3, compute: 2, increment: 1, invalidate: 1, sync: 3 };

// What each kind of schedule does more often than others, so that each fence matters often. `ops` and `faults`:
// weights. `bursts`: how many calls one turn makes; `pause`: milliseconds between turns; `lasts`: how long a fault
// lasts; `crowd`: how many keys of others there are, so that a sweep takes several steps; `stale`: how many
// computations take old values, refresh early, or fail; `soft`: how many deletes and invalidations are soft; `named`:
// how many computations name their tag once they have run; `once`: of these faults a schedule has exactly one.
const THEMES = {
  mixed: {
    ops: {
      get: 8,
      getMany: 2,
      set: 4,
      del: 2,
      compute: 3,
      increment: 1,
      invalidate: 1,
      sync: 3,
      sweep: 0.3,
      expire: 0.5,
    },
    faults: { stop: 1, blackhole: 1, stall: 1, deafen: 1, cut: 1, kill: 1, freeze: 1 },
    stale: 0.15,
  },
  outage: {
    ops: { get: 8, set: 3, del: 4, compute: 1, sync: 1, invalidate: 0.5, getMany: 1, expire: 0.5 },
    faults: { stop: 2, blackhole: 3, cut: 2, kill: 1 },
    certain: true,
    lasts: [30, 90],
  },
  unknown: {
    ops: { get: 6, set: 6, del: 3, sync: 1 },
    faults: { stall: 5, deafen: 2, stop: 1 },
    certain: true,
    lasts: [50, 120],
  },
  computing: {
    ops: { compute: 8, get: 5, del: 4, set: 1, sync: 1 },
    faults: { blackhole: 1, cut: 1, stop: 1 },
    computes: [3, 25],
    foreign: { set: 1, del: 4 },
  },
  own: { ops: { get: 8, set: 5, del: 2, getMany: 1 }, faults: { freeze: 1 }, bursts: [2, 5], pause: [0, 2] },
  racing: {
    ops: { get: 8, getMany: 2, sync: 4, set: 1, del: 0.5 },
    faults: { freeze: 4, stall: 1, stop: 1 },
    certain: true,
    lasts: [2, 14],
    foreign: { set: 6, del: 1 },
    pause: [0, 3],
  },
  taking: {
    ops: { take: 6, setIfAbsent: 6, get: 4, set: 2, del: 1, compute: 1, invalidate: 0.5, sync: 2 },
    faults: { blackhole: 2, cut: 2, stall: 2, stop: 1, deafen: 1, kill: 1 },
    bursts: [1, 4],
    tagged: 0.3,
    keys: [1, 2],
  },
  tags: {
    ops: { get: 6, set: 4, invalidate: 4, compute: 3, sync: 3, getMany: 1 },
    faults: { blackhole: 2, cut: 1, stall: 1 },
    tagged: 0.8,
  },
  naming: {
    ops: { compute: 8, get: 5, invalidate: 5, sync: 3, set: 0.5, del: 0.5, getMany: 0.5 },
    faults: { blackhole: 2, cut: 2, stall: 1, stop: 1, deafen: 1, kill: 1 },
    tagged: 0.9,
    named: 0.85,
    computes: [1, 25],
    keys: [1, 2],
  },
  sweeps: {
    ops: { get: 6, set: 5, sweep: 3, sync: 2, compute: 1 },
    faults: { blackhole: 2, cut: 2, stop: 1 },
  },
  crowded: {
    ops: { get: 8, set: 4, sweep: 3, increment: 1, getMany: 1, compute: 1, sync: 1 },
    faults: { blackhole: 2, cut: 2, stop: 1, kill: 1 },
    bursts: [2, 6],
    tagged: 0.3,
    crowd: 5_000,
  },
  counting: { ops: { increment: 8, get: 5, sync: 2 }, faults: { stop: 2, deafen: 2, stall: 2, cut: 2 }, counters: 2 },
  expiry: {
    ops: { get: 8, set: 4, compute: 2, getMany: 1, expire: 1 },
    faults: { blackhole: 1, freeze: 1, cut: 1 },
    short: 0.8,
    pause: [2, 12],
  },
  stale: {
    ops: { compute: 12, get: 2, getMany: 0.3, del: 0.7, set: 0.3, invalidate: 0.3, sync: 1.5, expire: 0.2 },
    faults: { blackhole: 1, cut: 1, stop: 1, freeze: 1, lag: 2 },
    stale: 0.85,
    short: 0.85,
    computes: [1, 25],
    // Else nothing becomes older than the slack that clocks are given.
    pause: [5, 120],
    keys: [1, 3],
    foreign: { set: 1, del: 2 },
    foreignSteps: [1, 4],
  },
  softening: {
    ops: { compute: 8, get: 5, getMany: 0.5, del: 4, invalidate: 3, set: 3, sync: 2, expire: 0.2, setIfAbsent: 0.5 },
    faults: { blackhole: 2, cut: 2, stall: 1, stop: 1, deafen: 1, kill: 1, lag: 1 },
    stale: 0.85,
    soft: 0.75,
    tagged: 0.5,
    computes: [1, 25],
    pause: [0, 40],
    keys: [1, 3],
    foreign: { set: 1, del: 1 },
    foreignSteps: [1, 4],
  },
  restart: {
    ops: { ...RESTARTED, sweep: 0.2, expire: 0.5 },
    faults: { blackhole: 2, stall: 1, cut: 1, kill: 1, deafen: 1 },
    once: { restart: 1 },
    pause: [0, 30],
    lasts: [5, 120],
  },
  deaths: {
    ops: { ...RESTARTED, compute: 6, sweep: 0.2, expire: 0.3 },
    faults: { blackhole: 2, stall: 2, cut: 1, stop: 1, lag: 1 },
    once: { death: 1 },
    computes: [2, 40],
    pause: [0, 12],
    stale: 0.15,
  },
  ending: {
    ops: { compute: 12, get: 1, del: 1 },
    faults: { end: 2, lag: 3 },
    certain: true,
    faulty: ['a'],
    at: { end: [5, 60], lag: [0, 3] },
    lasts: [70, 120],
    lag: [10, 25],
    timeoutMs: [90, 120],
    computes: [0, 2],
    short: 1,
    keys: [1, 1],
    more: [4, 6],
    moreOf: ['a', 'a+'],
    bursts: [1, 3],
    pause: [0, 4],
  },
  lives: {
    ops: { expire: 4, set: 2, get: 1, invalidate: 3, sync: 0.5 },
    faults: { lag: 1 },
    certain: true,
    at: { lag: [0, 10] },
    lasts: [60, 120],
    lag: [10, 25],
    timeoutMs: [60, 90],
    tagged: 0.9,
    short: 0.05,
    longs: [20, 27, 35, 44, 54, 65, 77, 90, 104, 119, 135, 152],
    foreign: { set: 6, probe: 6 },
    foreigners: 3,
    foreignSteps: [10, 20],
    keys: [4, 6],
    pause: [0, 6],
  },
  flood: {
    ops: { get: 12, set: 2, flood: 1, getMany: 1 },
    // Else all replies are there before the next turn.
    faults: { lag: 3, stop: 1 },
    certain: true,
    at: { lag: [0, 20], stop: [0, 20] },
    lasts: [100, 250],
    lag: [40, 90],
    pause: [0, 3],
    timeoutMs: [2_000, 2_000],
    keys: [1, 1],
  },
};

module.exports = { LONG, THEMES };
