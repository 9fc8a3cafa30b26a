// Owns the history that the model judges, made from the calls of a schedule: the values that were written, the moments
// that end values, and the reads.
//
// **Where a call took effect.** A call that found the process in one and the same state when it began and when it
// settled (mode, and since when) had no change of mode in between: `redis`, it was Redis that answered; `memory`, the
// in-process tier alone. Else it is `unknown`: it may have reached Redis, and may still do so until the process is back
// there (`until`), as recovery kills the connection on which it was sent.
'use strict';

const { ALONE, Fleet } = require('./fleet');
const { SECOND, Mishaps } = require('./mishaps');

/** What the clocks of two processes, timers and the server's expiry may differ by. */
const SLACK = 0.05 * SECOND;

/** @typedef {'redis' | 'memory' | 'unknown'} Where */

const keysOf = (op) => op.keys ?? [op.key];

function whereOf(before, after) {
  if (after === undefined || `${before}` !== `${after}`) return 'unknown';
  // Of several servers that a key may be with, some are away.
  if (before[0] === 'mixed') return 'unknown';
  return before[0] === 'memory' ? 'memory' : 'redis';
}

class History {
  constructor(plan, raw) {
    const { ops: whole, events, processOf, final, left = {}, ended = [], fleet: story = ALONE } = raw;
    this.plan = plan;
    this.final = final;
    this.left = left;
    this.ended = ended;
    this.fleet = new Fleet({ story, ops: whole, processOf });
    const names = [...plan.keys, ...plan.counters];
    for (const op of whole) op.process = processOf[op.place];
    const ops = whole.flatMap((op) => this.fleet.partsOf(op, names));
    this.ops = ops;
    this.mishaps = new Mishaps(raw, this);
    for (const op of ops) {
      op.where = op.end === null ? 'unknown' : whereOf(op.before, op.after);
      op.era = op.where === 'unknown' ? null : `${op.process}:${op.group}:${op.before}`;
    }
    for (const op of whole) op.where ??= this.#whereWhole(op);
    const shardOf = ({ node }) => story.shardOf?.[node?.slice(node.lastIndexOf(':') + 1)];
    this.outages = events
      .filter(({ name }) => name === 'fallback')
      .map((event) => ({ ...event, process: processOf[event.place], shard: shardOf(event) }));
    this.#back(whole, events, { processOf, shardOf });
    /** Values by key and value. */
    this.writes = new Map();
    /** What ends values, and what may have. */
    this.ends = [];
    this.perhaps = [];
    this.expiries = [];
    this.perhaps.push(...this.fleet.losses(), ...this.mishaps.losses());
    this.reads = [];
    for (const op of ops) this.#sort(op);
    // Now that all writes are known: a call that reads may have begun before the one that wrote.
    for (const read of this.reads) read.write = this.writes.get(`${read.key}=${read.value}`) ?? null;
    /** Reads of the server itself, each behind all its pushes until then. */
    this.syncs = ops.filter(({ op, where }) => op === 'sync' && where === 'redis');
  }

  /** When each process was known to use Redis, by the shards that matter to a key. */
  #back(whole, events, { processOf, shardOf }) {
    this.back = new Map();
    for (const group of this.fleet.groups) {
      const note = (process, at) => {
        const times = this.back.get(`${process}:${group}`) ?? [];
        times.push(at);
        this.back.set(`${process}:${group}`, times);
      };
      for (const event of events) {
        const shard = shardOf(event);
        if (event.name === 'recovered' && (shard === undefined || group === `${shard}`))
          note(processOf[event.place], event.at);
      }
      for (const { process, before, after, start, end } of whole) {
        if (this.fleet.view(before, group)[0] === 'redis') note(process, start);
        if (this.fleet.view(after, group)?.[0] === 'redis') note(process, end);
      }
    }
    for (const times of this.back.values()) times.sort((x, y) => x - y);
  }

  /** Where a call took effect whose parts went to several servers. */
  #whereWhole({ before, after, end }) {
    return end === null ? 'unknown' : whereOf(before, after);
  }

  /**
   * Whether a change was certainly known where a read was answered, of this value or of a counter: a failover may have
   * lost it, or the end of a server or a process.
   */
  reaches = (change, read, write) =>
    !this.mishaps.undoes(change, read, write) && this.fleet.reaches(change, read, this.backOf);

  /** From when on nothing of a call can take effect any more. */
  #until(op) {
    if (op.where !== 'unknown') return op.end;
    // Of a thread that was ended: its process may still do it, and nobody is told.
    const until = op.end === null ? Infinity : this.backOf(op, op.end);
    return Math.min(until, this.mishaps.silentFrom(op.process));
  }

  /** From when on the process of a call is known to use Redis, at this moment or later. */
  backOf = ({ process, group }, from) => this.back.get(`${process}:${group}`)?.find((at) => at >= from) ?? Infinity;

  #sort(op) {
    op.until = this.#until(op);
    switch (op.op) {
      case 'set':
        this.#write(op.key, op.value, { op, kind: 'set', start: op.start, where: op.where });
        this.ends.push({ op, covers: (write) => write.key === op.key });
        break;
      case 'setIfAbsent':
        // It stored nothing, and never will.
        if (op.result === false && op.where !== 'unknown') break;
        this.#write(op.key, op.value, { op, kind: 'set', start: op.start, where: op.where });
        (op.result === true ? this.ends : this.perhaps).push({ op, covers: (write) => write.key === op.key });
        // It found none there.
        if (op.result === true) this.#read(op, op.key, null);
        break;
      case 'take':
        this.#read(op, op.key, op.result);
        if ((op.result ?? null) !== null) this.ends.push({ op, covers: (write) => write.key === op.key });
        // What found nothing ended nothing, as far as is known; but what it removed may have had a tag that ended until
        // its token was there.
        else
          this.perhaps.push({
            op,
            covers: (write) => write.key === op.key && (op.where === 'unknown' || Boolean(write.op.tag)),
          });
        break;
      case 'compute':
      case 'computeMany':
        // What a function throws is nobody's value.
        for (const run of op.fails ? [] : (op.runs ?? [])) this.#computed(op, run);
        for (const [i, key] of keysOf(op).entries()) this.#read(op, key, op.keys ? op.result?.[i] : op.result);
        break;
      case 'expire':
        this.expiries.push(op);
        this.perhaps.push({ op, covers: (write) => write.key === op.key });
        break;
      case 'del':
        this.ends.push({ op, covers: (write) => op.keys.includes(write.key) });
        break;
      case 'invalidate':
        this.ends.push({ op, covers: (write) => write.op.tag === op.tag });
        break;
      case 'sweep': {
        const matches = matcher(op.pattern);
        const covers = (write) => isOf(op, write) && matches(write.key);
        const may = op.only !== undefined && this.fleet.isMoving(op.only, op.start, op.until);
        (may ? this.perhaps : this.ends).push({ op, covers });
        break;
      }
      case 'flush':
        this.ends.push({ op, covers: (write) => isOf(op, write) });
        break;
      case 'get':
        this.#read(op, op.key, op.result);
        break;
      case 'getMany':
        for (const [i, key] of op.keys.entries()) this.#read(op, key, op.result?.[i]);
        break;
    }
  }

  #write(key, value, write) {
    this.writes.set(`${key}=${value}`, { key, value, stored: write.start, until: write.op.until, window: 0, ...write });
  }

  /**
   * A value that a function returned. Its caller has it before it is stored, and its process before it has landed. Only
   * one that was asked for under a lease is kept from being stored by what other processes do.
   */
  #computed(op, run) {
    const where = run.after && run.settled ? whereOf(run.after, run.settled) : 'unknown';
    const landed =
      run.settled === undefined ? Infinity : where === 'unknown' ? this.backOf(op, run.landed) : run.landed;
    const until = Math.min(landed, Math.max(run.landed ?? 0, this.mishaps.silentFrom(op.process)));
    const leased = op.lock && whereOf(op.before, run.before) === 'redis';
    const away = whereOf(op.before, run.before) === 'memory';
    const stored = run.end ?? run.start;
    const window = windowOf(op);
    const write = { op, kind: 'compute', start: run.start, stored, until, where, leased, away, window };
    this.#write(run.key, run.value, write);
  }

  #read(op, key, value) {
    if (op.end === null || op.error) return;
    this.reads.push({ op, key, value: value ?? null, write: null });
  }
}

/** For how long behind its TTL a computation takes a value, and one that it stores is kept. */
function windowOf({ swr = 0, grace = 0 }) {
  return Math.max(swr, grace) * 1e6;
}

/** Whether what a call has ended is still of use to a reader: to a computation that takes old values, for a while. */
function serves({ op: end }, { op }) {
  if (end.soft === undefined || !computes(op)) return false;
  return op.start - (end.end ?? op.start) <= Math.min(windowOf(op), end.soft * 1e6) + SLACK;
}

/** Whether this part of a call, if it is but a part, is about the key of that value. */
function isOf({ only }, { key }) {
  return only === undefined || only === key;
}

/** Whether a call was over, or at least made, before another one of the same thread. */
function made(earlier, later) {
  return earlier.place === later.place ? earlier.seq < later.seq : earlier.end !== null && earlier.end < later.start;
}

/** Whether a value was certainly there, or its computation begun, before a call that ends such values. */
function precedes(write, end) {
  if (write.op === end.op) return false;
  const mine = write.op.process === end.op.process;
  if (write.kind === 'compute' && (mine || write.leased)) return write.start < end.op.start;
  return mine ? made(write.op, end.op) : write.until < end.op.start;
}

/** Whether a value was certainly replaced by another one in Redis. */
function replaced(older, newer) {
  if (
    older.kind === 'set' &&
    newer.kind === 'set' &&
    older.op.place === newer.op.place &&
    older.op.era === newer.op.era
  ) {
    return older.op.era !== null && older.op.seq < newer.op.seq;
  }
  return older.until < newer.stored;
}

/** Glob patterns as the generator makes them; null is all. */
function matcher(pattern) {
  const text = (pattern ?? '*').replaceAll('*', '.*').replaceAll('?', '.');
  const regex = new RegExp(`^${text}$`);
  return (key) => regex.test(key);
}

const computes = ({ op }) => op.startsWith('compute');
const over = (earlier, later) => earlier.end !== null && earlier.end < later.start;
const valued = (reads) => reads.filter(({ write }) => write !== null);
const show = (read) => `${read.op.place} read ${read.key} = ${read.value}`;

function violation(guarantee, text, calls) {
  return { guarantee, text, calls: calls.filter(Boolean).map((op) => op.whole ?? op) };
}

module.exports = {
  SECOND,
  SLACK,
  History,
  computes,
  keysOf,
  made,
  over,
  precedes,
  replaced,
  serves,
  show,
  valued,
  violation,
  whereOf,
  windowOf,
};
