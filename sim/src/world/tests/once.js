// Owns the other half of the test `once`: plays each script of its input, one a line, with the modules of src/js/once
// over an engine that answers by the script, and prints what they say to it and what their callers get.
'use strict';

// One moment for every flush, which the player chooses: when a turn is over is for the test `port`.
process.env.HOLDFAST_FLUSH = 'immediate';
const timers = require('node:timers');
const { drained, leave, load, moduleOf, playAll, time } = require('./modules.js');

/** What comes later: timers and functions by their moments, and what waits for the next turn of the event loop. */
class Agenda {
  constructor() {
    this.planned = [];
    this.number = 0;
    this.immediates = [];
  }

  /** `returns`: a function does, behind the timers of the same moment. */
  plan(act, ms, returns = 0) {
    const timer = { at: time.clock + ms, returns, number: this.number++, act, unref() {} };
    const before = (one, other) => one.at - other.at || one.returns - other.returns || one.number - other.number;
    this.planned.push(timer);
    this.planned.sort(before);
    return timer;
  }

  /** The next one that is due then. */
  next(clock) {
    return this.planned.length > 0 && this.planned[0].at <= clock ? this.planned.shift() : undefined;
  }

  /** Runs what the turns of the event loop would: first the calls that were made are handed over. */
  async settle() {
    for (;;) {
      await drained();
      const due = this.immediates.splice(0);
      if (due.length === 0) return;
      const flushes = due.filter((act) => act.name === 'bound flush');
      if (flushes.length > 0) this.immediates.push(...due.filter((act) => !flushes.includes(act)));
      for (const act of flushes.length > 0 ? flushes : due) act();
    }
  }

  /** Time passes. */
  async until(clock) {
    for (let first = this.next(clock); first !== undefined; first = this.next(clock)) {
      time.clock = first.at;
      for (let timer = first; timer !== undefined; timer = this.next(time.clock)) {
        timer.act();
        await drained();
      }
      await this.settle();
    }
    time.clock = clock;
  }
}

let agenda = new Agenda();
// The modules take these when they load, and look at their names.
timers.setTimeout = function setTimeout(act, ms) {
  return agenda.plan(act, ms);
};
timers.clearTimeout = function clearTimeout(timer) {
  agenda.planned = agenda.planned.filter((other) => other !== timer);
};
timers.setImmediate = function setImmediate(act) {
  agenda.immediates.push(act);
};

const [DEL, BEGIN, END, ABANDON, OVERDUE, WITHDRAW] = [2, 7, 8, 9, 10, 11];

/** An engine that answers by the script, and notes what it is asked. */
class Engine {
  constructor(script, said) {
    this.answers = script.answers.slice();
    this.atOnce = script.atOnce.slice();
    this.refused = script.refused.slice();
    this.peeks = script.peeks.slice();
    this.script = script;
    this.said = said;
    this.open = [];
    this.waiting = [];
    this.tokens = 0;
    this.values = 1_000_000;
    /** Tokens of flights that callers may be told to follow, by key. */
    this.leads = {};
  }

  /** The reply to a question; a string is the code of an error. */
  reply(key, waiter, [kind, n]) {
    this.leads[key] ??= [];
    const leads = this.leads[key];
    if (kind === 'hit') return [0, ++this.values];
    if (kind === 'follow' && leads.length > n) return [2, leads[leads.length - 1 - n]];
    if (kind === 'lost') return [2, 4_000_000 + n];
    if (kind === 'wait') {
      this.waiting.push([waiter, key]);
      return [3];
    }
    if (kind === 'nothing') return [4];
    if (kind === 'again') return [5];
    if (kind === 'stale') return [6, ++this.values];
    if (kind === 'elsewhere') return [7];
    if (kind === 'error') return 'ERR_INVALID_KEY';
    leads.push(++this.tokens);
    return kind === 'over' ? [1, this.tokens, n, ++this.values] : [1, this.tokens];
  }

  /** A flight is told to be over; now and then it may still be followed. */
  over(key, token) {
    if (token % 4 !== 0) this.leads[key] = (this.leads[key] ?? []).filter((other) => other !== token);
  }

  submit(id, text, numbers, used) {
    const said = [];
    const replies = [];
    for (let i = 0, at = 0; i < used; i += 6) {
      const [kind, keyLength, valueLength, a, b, extrasLength] = numbers.subarray(i, i + 6);
      const key = text.slice(at, at + keyLength);
      at += keyLength;
      const value = text.slice(at, at + valueLength);
      at += valueLength;
      const extras = extrasLength === 0 ? null : JSON.parse(text.slice(at, at + extrasLength));
      at += extrasLength;
      let reply = 1;
      if (kind === DEL) said.push(['del', key]);
      else if (kind === BEGIN) {
        said.push(['begin', key, b, (a & 1) !== 0, (a & 2) !== 0, extras]);
        reply = this.reply(key, b, this.answers.shift());
      } else if (kind === END) {
        said.push(['end', key, value, a === Infinity ? null : a, b, extras]);
        this.over(key, b);
        if (this.refused.shift()) reply = 'ERR_VALUE_TOO_LARGE';
      } else if (kind === ABANDON) {
        said.push(['abandon', key, ['failed', 'nothing', 'left'][a], b]);
        this.over(key, b);
      } else if (kind === OVERDUE) said.push(['overdue', key, b]);
      else if (kind === WITHDRAW) {
        said.push(['withdraw', key, b]);
        this.waiting = this.waiting.filter(([waiter]) => waiter !== b);
      } else said.push(['unknown', kind]);
      replies.push(reply);
    }
    this.said.push(['submit', id, said]);
    if (this.atOnce.shift()) return JSON.stringify([...repliesOf(replies), 0, 0]);
    this.open.push([id, replies]);
    return null;
  }

  peek(key) {
    const finds = this.peeks.shift();
    this.said.push(['peek', key, finds]);
    if (!finds) return null;
    const slot = Number(key.slice(1));
    leave(this.script, this.versions, 20, slot, this.versions[slot]);
    return String(++this.values);
  }

  /** The frames of what comes in a turn. */
  frames({ replies, late }) {
    const frames = [];
    for (const pick of replies) {
      if (this.open.length === 0) break;
      const [[id, all]] = this.open.splice(pick % this.open.length, 1);
      const [values, errors] = repliesOf(all);
      frames.push(id, 0, values, errors);
    }
    for (const [pick, answer] of late) {
      if (this.waiting.length === 0) break;
      const [[waiter, key]] = this.waiting.splice(pick % this.waiting.length, 1);
      const [values, errors] = repliesOf([this.reply(key, waiter, answer)]);
      frames.push(waiter, 0, values, errors);
    }
    return frames;
  }
}

/** Replies as they cross: the errors beside the others. */
function repliesOf(replies) {
  const errors = replies.flatMap((reply, at) => (typeof reply === 'string' ? [[at, reply, 'refused']] : []));
  return [replies.map((reply) => (typeof reply === 'string' ? null : reply)), errors.length === 0 ? 0 : errors];
}

function seconds(ms) {
  return ms === null ? Infinity : ms / 1000;
}

/** The options of a call. */
function optionsOf({ ttl, tag, lock, swr, grace, timeout, hard, early }) {
  const options = { ttl: seconds(ttl), lock, swr: swr / 1000, grace: grace / 1000, earlyRefresh: early };
  options.hardTimeout = hard / 1000;
  if (timeout !== null) options.timeout = timeout / 1000;
  if (tag !== null) options.tags = [`t${tag}`];
  return options;
}

async function play(script) {
  const said = [];
  const engine = new Engine(script, said);
  time.clock = 1000;
  agenda = new Agenda();
  const { bridge, channel } = load(script, engine);
  engine.versions = bridge.versions;
  const { Computer } = moduleOf('once/compute.js');
  const { Flights } = moduleOf('once/flights.js');
  const { getOrComputeMany } = moduleOf('once/compute-many.js');
  const { codecOf } = moduleOf('value/codec.js');
  const codec = codecOf('json', 1 << 20, false, bridge.leaves);
  const computer = new Computer(channel, codec, 60_000, 'app', new Flights());
  let calls = 0;
  let got = [];

  function compute(call) {
    const number = calls++;
    let runs = 0;
    /** Runs the function for so many keys: each value is one of its own. */
    const run = (count) => {
      const values = Array.from({ length: count }, () => call.value + runs++);
      return new Promise((resolve, reject) => {
        const act = () =>
          call.fails ? reject(new Error('threw')) : resolve(values.map((v) => (call.nothing ? undefined : v)));
        agenda.plan(act, call.ms, 1);
      });
    };
    const options = optionsOf(call);
    const promise = call.many
      ? getOrComputeMany(computer, call.keys, (keys) => run(keys.length), options)
      : computer.getOrCompute(call.keys[0], async () => (await run(1))[0], options);
    promise.then(
      (value) => got.push(['got', number, value ?? null]),
      (error) => got.push(['got', number, error?.code ?? error?.message ?? 'nothing']),
    );
  }

  for (const turn of script.turns) {
    said.push(['turn']);
    if (turn.vouches !== null) bridge.versions[script.counters.clock] = time.clock + turn.vouches;
    for (const slot of turn.bump) bridge.versions[slot]++;
    const frames = engine.frames(turn);
    if (frames.length > 0) bridge.wake(JSON.stringify(frames));
    for (const call of turn.calls) compute(call);
    await agenda.settle();
    if (turn.ms > 0) await agenda.until(time.clock + turn.ms);
    said.push(...got.sort((one, other) => one[1] - other[1]));
    got = [];
  }
  return said;
}

playAll(play);
