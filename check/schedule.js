// Owns the schedules, from a seed: which client calls which function when, and which faults befall it meanwhile. The
// same seed and index give the same plan, whatever ran before.
'use strict';

const PLACES = ['a', 'a+', 'b'];
const PROCESSES = ['a', 'b'];
/**
 * A counter's amounts are the powers of 4, one for each increment, so that a sum says which it holds, and which it
 * holds twice.
 */
const BASE = 4;
const DIGITS = 22;
/** What counters have before the schedule: tells a sum of Redis from one that a process counted apart. */
const HEAD = BASE ** DIGITS;
const LONG = 20;

// What each kind of schedule does more often than others, so that each fence matters often. `ops` and `faults`:
// weights. `bursts`: how many calls one turn makes; `pause`: milliseconds between turns; `lasts`: how long a fault
// lasts; `crowd`: how many keys of others there are, so that a sweep takes several steps.
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
  tags: {
    ops: { get: 6, set: 4, invalidate: 4, compute: 3, sync: 3, getMany: 1 },
    faults: { blackhole: 2, cut: 1, stall: 1 },
    tagged: 0.8,
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

/** More calls at once than a thread hands over: those behind them wait for the window. */
const FLOOD = 16_600;
/** What waits between a read and a write then, and in how many turns of the event loop what is behind it is read. */
const SECOND_FLOOD = 2_000;
const TURNS = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48];

/** A generator of numbers in [0, 1), Mulberry32. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

class Planner {
  constructor(seed, index) {
    this.random = random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
    this.name = this.pick(Object.keys(THEMES));
    this.theme = THEMES[this.name];
    this.values = 0;
    this.digits = new Map();
  }

  /** An integer from `low` to `high`. */
  int([low, high]) {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  chance(p) {
    return this.random() < p;
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  weighted(weights) {
    const entries = Object.entries(weights);
    let left = this.random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries[0][0];
  }

  plan(seed, index) {
    const { counters = 1, certain = false, more = [0, 2], moreOf = PLACES, foreigners = 1, crowd = 0 } = this.theme;
    this.keys = Array.from({ length: this.int(this.theme.keys ?? [1, 3]) }, (_, i) => `k${i}`);
    this.counters = Array.from({ length: counters }, (_, i) => `n${i}`);
    this.tags = ['t0', 't1'].slice(0, this.int([1, 2]));
    const clients = [...PLACES, ...Array.from({ length: this.int(more) }, () => this.pick(moreOf))].map((place, i) =>
      this.client(place, `${place}${i}`),
    );
    if (this.theme.foreign || this.chance(0.5)) for (let i = 0; i < foreigners; i++) clients.push(this.foreigner(i));
    const faults = Array.from({ length: this.int(certain ? [1, 3] : [0, 2]) }, () => this.fault());
    const options = {
      timeoutMs: this.int(this.theme.timeoutMs ?? [30, 60]),
      nearCache: this.chance(0.9),
      ...(this.chance(0.3) ? { outageStale: 0 } : {}),
    };
    const { keys, tags, counters: numbers, name: theme } = this;
    // Now and then the user may do everything, and to the keys of the namespace alone.
    const acl = this.chance(0.15);
    return { seed, index, theme, crowd, head: HEAD, options, acl, keys, counters: numbers, tags, clients, faults };
  }

  fault() {
    const { faults, faulty = PROCESSES, at = {}, lasts = [5, 70], lag = [3, 15] } = this.theme;
    const kind = this.weighted(faults);
    const when = this.int(at[kind] ?? [0, 40]);
    return { kind, process: this.pick(faulty), at: when, for: this.int(lasts), ms: this.int(lag) };
  }

  client(place, name) {
    const { pause = [0, 8], bursts = [1, 3] } = this.theme;
    const steps = Array.from({ length: this.int([6, 16]) }, () => {
      const wait = this.chance(0.3) ? 0 : this.int(pause);
      const length = this.theme.bursts || this.chance(0.3) ? this.int(bursts) : 1;
      const calls = Array.from({ length }, () => this.call());
      return calls.some(({ op }) => op === 'flood') ? this.flood() : [{ pause: wait, calls }];
    }).flat();
    return { place, name, steps };
  }

  /**
   * A key that is near, and not hot, is read while the window is full; many calls behind that it is written, and read
   * again at once and a little later.
   */
  flood() {
    const [first, next] = [this.write('set'), this.write('set')];
    const read = (turns) => ({ op: 'get', key: first.key, turns });
    const written = { ...next, key: first.key, ttl: LONG, turns: 2 };
    const behind = [read(1), read(1), { op: 'flood', count: SECOND_FLOOD, turns: 2 }, written, ...TURNS.map(read)];
    const calls = [[first], [read(0)], [{ op: 'flood', count: FLOOD }, ...behind]];
    return calls.map((each) => ({ pause: 0, calls: each }));
  }

  foreigner(i) {
    const { foreign = { set: 3, del: 2 }, foreignSteps: length = [2, 10] } = this.theme;
    const steps = Array.from({ length: this.int(length) }, () => ({
      pause: this.int([0, 12]),
      calls: [this.chance(0.03) ? { op: 'flush' } : { ...this.call(this.weighted(foreign)), tag: null }],
    }));
    return { place: 'foreign', name: `foreign${i || ''}`, steps };
  }

  call(op = this.weighted(this.theme.ops)) {
    switch (op) {
      case 'get':
        return { op, key: this.pick(this.theme.ops.increment && this.chance(0.3) ? this.counters : this.keys) };
      case 'getMany':
        return { op, keys: [...this.keys, ...(this.chance(0.3) ? this.counters : [])] };
      case 'sync':
        return { op, key: `sync:${this.values++}` };
      case 'flood':
        return { op };
      case 'probe':
        return { op, key: this.pick(this.keys) };
      case 'increment':
        return this.increment();
      case 'invalidate':
        return { op, tag: this.pick(this.tags) };
      case 'sweep':
        // Null: all of the namespace.
        return { op, pattern: this.pick([null, '*', 'k*', 'k0', '?[0-1]']) };
      default:
        return this.write(op);
    }
  }

  /** A call that says what a key is to hold, or that it is to hold nothing. */
  write(op) {
    const key = this.pick(this.keys);
    if (op === 'del') return { op, keys: this.chance(0.2) ? this.keys : [key] };
    const { short = 0.15, tagged = 0.15, computes = [0, 12], longs = [LONG] } = this.theme;
    const ttl = this.chance(short) ? this.int([8, 60]) / 1000 : this.pick(longs);
    // Room for the runs of one call.
    const value = ++this.values * 10;
    if (op === 'expire') return { op, key, ttl };
    const write = { op, key, value, ttl, tag: this.chance(tagged) ? this.pick(this.tags) : null };
    if (op !== 'compute') return write;
    const compute = { ...write, ms: this.int(computes), lock: this.chance(0.9) };
    return this.chance(0.2) ? { ...compute, op: 'computeMany', key: undefined, keys: this.keys } : compute;
  }

  increment() {
    const key = this.pick(this.counters);
    const digit = this.digits.get(key) ?? 0;
    if (digit === DIGITS) return { op: 'get', key };
    this.digits.set(key, digit + 1);
    return { op: 'increment', key, amount: BASE ** digit };
  }
}

/** The schedule of this index. */
function planOf(seed, index) {
  return new Planner(seed, index).plan(seed, index);
}

module.exports = { BASE, DIGITS, HEAD, planOf };
