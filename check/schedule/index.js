// Owns the schedules, from a seed: which client calls which function when, and which faults befall it meanwhile. The
// same seed and index give the same plan, whatever ran before.
'use strict';

const { FLEETS } = require('./fleets');
const { LONG } = require('./themes');

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
  constructor(seed, index, topology, kind) {
    this.topology = topology;
    this.random = random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
    const themes = FLEETS[topology];
    const any = this.pick(Object.keys(themes).flatMap((name) => Array(themes[name].weight ?? 1).fill(name)));
    this.name = kind ?? any;
    this.theme = themes[this.name];
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
    if (this.theme.falls) faults.push(this.fall());
    if (this.theme.once) faults.push(this.once());
    const options = {
      timeoutMs: this.int(this.theme.timeoutMs ?? [30, 60]),
      nearCache: this.chance(this.theme.near ?? 0.9),
      ...(this.chance(0.3) ? { outageStale: 0 } : {}),
    };
    const { keys, tags, counters: numbers, name: theme } = this;
    // Now and then the user may do everything, and to the keys of the namespace alone.
    const acl = this.chance(0.15) && !this.theme.falls && !this.theme.once?.restart;
    const plan = {
      seed,
      index,
      theme,
      crowd,
      head: HEAD,
      options,
      acl,
      keys,
      counters: numbers,
      tags,
      clients,
      faults,
    };
    const { falls, newsMs } = this.theme;
    return this.topology === 'single' ? plan : { ...plan, topology: this.topology, falls: Boolean(falls), newsMs };
  }

  fault() {
    const { faults, faulty = PROCESSES, at = {}, lasts = [5, 70], lag = [3, 15] } = this.theme;
    const kind = this.weighted(faults);
    const when = this.int(at[kind] ?? [0, 40]);
    const fault = { kind, process: this.pick(faulty), at: when, for: this.int(lasts), ms: this.int(lag) };
    return this.topology === 'single' ? fault : { ...fault, ...this.aim() };
  }

  /** What changes who is the primary, or whose a slot is: once in a schedule, as it takes seconds to heal. */
  fall() {
    const { falls, fallAt = [0, 300] } = this.theme;
    return { kind: this.weighted(falls), at: this.int(fallAt), for: this.int([10, 150]), ...this.aim() };
  }

  /**
   * The server ends and starts anew, with nothing or with what it had saved `ms` before; or a process ends. Each takes
   * a while to be made good.
   */
  once() {
    const when = { at: this.int([5, 80]), for: this.int([0, 60]), ms: this.int([0, 50]) };
    return { kind: this.weighted(this.theme.once), process: this.pick(PROCESSES), ...when, keeps: this.chance(0.6) };
  }

  /** Whose server a fault of a fleet befalls: by a key, and where there are more to choose from, by a number. */
  aim() {
    const key = this.theme.focus ? this.keys[0] : this.pick([...this.keys, ...this.counters]);
    return { key, nth: this.int([0, 5]) };
  }

  /** A key; where the kind has a focus, that is the first one, for so many of the calls. */
  key() {
    return this.theme.focus && this.chance(this.theme.focus) ? this.keys[0] : this.pick(this.keys);
  }

  client(place, name) {
    if (this.theme.stream) return { place, name, steps: this.stream() };
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
   * Calls of a thread that do not wait for each other, so that many of a key are under way at once: each is made in the
   * turn of the one before it, or a moment later.
   */
  stream() {
    const { stream, gap = [1, 2] } = this.theme;
    return Array.from({ length: this.int([2, 4]) }, () => {
      let after = 0;
      const calls = Array.from({ length: this.int(stream) }, () => {
        if (this.chance(0.5)) after += this.int(gap);
        return { ...this.call(), after };
      });
      return { pause: this.int([0, 10]), calls };
    });
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
        return { op, key: this.theme.ops.increment && this.chance(0.3) ? this.pick(this.counters) : this.key() };
      case 'getMany':
        return { op, keys: [...this.keys, ...(this.chance(0.3) ? this.counters : [])] };
      case 'sync':
        return {
          op,
          key: `sync:${this.values++}`,
          // Each server vouches for its own keys alone.
          ...(this.topology === 'cluster' ? { of: this.pick([...this.keys, ...this.tags]) } : {}),
        };
      case 'flood':
        return { op };
      case 'probe':
        return { op, key: this.pick(this.keys) };
      case 'take':
        return { op, key: this.key() };
      case 'increment':
        return this.increment();
      case 'invalidate':
        return { op, tag: this.pick(this.tags), ...this.softly() };
      case 'sweep':
        // Null: all of the namespace.
        return { op, pattern: this.pick([null, '*', 'k*', 'k0', '?[0-1]']) };
      default:
        return this.write(op);
    }
  }

  /** A call that says what a key is to hold, or that it is to hold nothing. */
  write(op) {
    const key = this.key();
    if (op === 'del') return { op, keys: this.chance(0.2) ? this.keys : [key], ...this.softly() };
    const { short = 0.15, tagged = 0.15, computes = [0, 12], longs = [LONG] } = this.theme;
    const ttl = this.chance(short) ? this.int([8, 60]) / 1000 : this.pick(longs);
    // Room for the runs of one call.
    const value = ++this.values * 10;
    if (op === 'expire') return { op, key, ttl };
    const write = { op, key, value, ttl, tag: this.chance(tagged) ? this.pick(this.tags) : null };
    if (op !== 'compute') return write;
    const compute = { ...write, ms: this.int(computes), lock: this.chance(0.9), ...this.terms() };
    if (this.chance(0.2)) return { ...compute, op: 'computeMany', key: undefined, keys: this.keys };
    // Themes without it draw nothing for it.
    const named = this.theme.named > 0 && compute.tag !== null && this.chance(this.theme.named);
    return named ? { ...compute, named } : compute;
  }

  /** Whether a computation takes old values, for how many milliseconds; refreshes early; fails. */
  terms() {
    const { stale = 0 } = this.theme;
    if (stale === 0 || !this.chance(stale)) return {};
    const some = (p, range) => (this.chance(p) ? this.int(range) : 0);
    const windows = { swr: some(0.6, [5, 120]), grace: some(0.6, [5, 500]), timeout: some(0.3, [1, 20]) };
    return { ...windows, early: this.chance(0.3) ? this.pick([1, 50, 2_000]) : 0, fails: this.chance(0.25) };
  }

  /** Whether what ends is of use to who takes old values, for how many milliseconds. */
  softly() {
    const { soft = 0 } = this.theme;
    return soft > 0 && this.chance(soft) ? { soft: this.int([5, 400]) } : {};
  }

  increment() {
    const key = this.pick(this.counters);
    const digit = this.digits.get(key) ?? 0;
    if (digit === DIGITS) return { op: 'get', key };
    this.digits.set(key, digit + 1);
    return { op: 'increment', key, amount: BASE ** digit };
  }
}

/**
 * The schedule of this index, for one server or for a fleet: `single`, `sentinel` or `cluster`; of this kind, or any.
 */
function planOf(seed, index, topology = 'single', kind = undefined) {
  return new Planner(seed, index, topology, kind).plan(seed, index);
}

/** The names of the kinds. */
const kindsOf = (topology) => Object.keys(FLEETS[topology]);

module.exports = { BASE, DIGITS, HEAD, kindsOf, planOf };
