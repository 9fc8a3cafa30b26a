// Owns the other half of the test `port`: plays each script of its input, one a line, with the modules of src/js/bridge
// and src/js/hot over an engine that answers by the script, and prints what they say to it and what their callers get.
'use strict';

const { drained, leave, load, moduleOf, playAll, time } = require('./modules.js');

const READS = ['late', 'early', 'hot'];

/** An engine that answers by the script, and notes what it is asked. */
class Engine {
  constructor(script, said) {
    this.answers = script.answers.slice();
    this.peeks = script.peeks.slice();
    this.peeked = 0;
    this.script = script;
    this.said = said;
    this.open = [];
  }

  version(key) {
    const slot = Number(key.slice(1));
    return [slot, this.versions[slot]];
  }

  submit(id, text, numbers, used) {
    const answer = this.answers.shift();
    const said = [];
    const ops = [];
    for (let i = 0, at = 0; i < used; i += 6) {
      const [kind, keyLength, valueLength, a] = numbers.subarray(i, i + 4);
      const key = text.slice(at, at + keyLength);
      const value = text.slice(at + keyLength, at + keyLength + valueLength);
      at += keyLength + valueLength;
      const names = {
        0: ['get', key, READS[a]],
        1: ['set', key, value],
        2: ['del', key],
        6: ['expire', key],
        15: ['end', key],
      };
      said.push(names[kind]);
      ops.push({ key, reads: kind === 0, alone: kind === 0 && a > 0, keeps: kind === 0 && a === 2 });
    }
    this.said.push(['submit', id, said]);
    const found = [];
    const rest = [];
    const later = [];
    const early = ops.map(({ key, reads, alone, keeps }, at) => {
      const reply = reads ? id * 100 + at : 1;
      const now = answer === 1 || (answer === 2 && alone && at % 2 === 0 && ops.length > 1);
      later.push(now ? null : reply);
      if (!now) rest.push(at);
      if (!now) return null;
      if (!keeps || (id + at) % 2 !== 0) return reply;
      found.push(at, 5 + (id % 3) * 10, String(reply), this.version(key));
      return 0;
    });
    if (rest.length > 0) this.open.push([id, later]);
    if (rest.length === ops.length) return null;
    return JSON.stringify([early, 0, found.length === 0 ? 0 : found, rest.length === 0 ? 0 : rest]);
  }

  run(id, task, text) {
    this.said.push(['run', id, task, text]);
    if (this.answers.shift() === 1) return JSON.stringify([[1], 0, 0, 0]);
    this.open.push([id, [1]]);
    return null;
  }

  peek(key) {
    const finds = this.peeks.shift();
    this.said.push(['peek', key, finds]);
    this.peeked++;
    if (!finds) return null;
    leave(this.script, this.versions, 20, ...this.version(key));
    return String(1_000_000 + this.peeked);
  }
}

const codec = { read: null, take: () => null, encode: String };

async function play(script) {
  const said = [];
  const engine = new Engine(script, said);
  time.clock = 1000;
  const { bridge, channel, hot } = load(script, engine);
  const { Op, Task } = moduleOf('base/ops.js');
  const many = moduleOf('cache/many.js');
  engine.versions = bridge.versions;
  let waits = 0;
  let got = [];
  const settled = (first, how) => (value) => {
    for (const [i, each] of [value].flat().entries()) got.push(['got', first + i, each ?? true, how]);
  };
  /** What a call gives to its callers: one reply, or `count` of them. */
  const gives = (promise, count, reads) => {
    const first = waits + 1;
    waits += count;
    promise.then((value) => settled(first, 'later')(reads ? value : Array(count).fill(true)));
  };
  const calls = {
    get(key) {
      const value = hot.get(key) ?? channel.near(key);
      if (value === undefined) gives(channel.get(key), 1, true);
      else settled(++waits, 'at once')(value);
    },
    getMany: (keys) => gives(many.getMany(channel, codec, keys), keys.length, true),
    set: (key, value) => gives(channel.set(key, value, codec, Infinity, ''), 1, false),
    del: (keys) => {
      const one = keys.length === 1;
      gives(one ? channel.call(Op.DEL, keys[0], '', 0, 0) : many.delMany(channel, keys), keys.length, false);
    },
    expire: (key, ms) => gives(channel.call(Op.EXPIRE, key, '', ms, 0), 1, false),
    invalidate: (tag) => gives(many.invalidateTags(channel, tag, 0), 1, false),
    clear: () => gives(channel.run(Task.CLEAR, ''), 1, false),
    delPattern: (pattern) => gives(channel.run(Task.DEL_PATTERN, pattern), 1, false),
  };
  for (const turn of script.turns) {
    time.clock += turn.ms;
    if (turn.vouches !== null) bridge.versions[script.counters.clock] = time.clock + turn.vouches;
    for (const slot of turn.bump) bridge.versions[slot]++;
    said.push(['turn']);
    const frames = engine.open.splice(0, turn.replies).flatMap(([id, replies]) => [id, 0, replies, 0]);
    if (frames.length > 0) bridge.wake(JSON.stringify(frames));
    for (const [name, ...given] of turn.calls) calls[name](...given);
    // Behind the flush of the turn, and the promises that it settles.
    for (let i = 0; i < 3; i++) await drained();
    said.push(...got.sort((one, other) => one[1] - other[1]));
    got = [];
    if (channel.lane.waits) said.push(['waits']);
  }
  return said;
}

playAll(play);
