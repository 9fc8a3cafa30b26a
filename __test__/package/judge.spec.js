// The checker's judge over several servers: what a failover may lose it allows, and nothing else.
'use strict';

const { check } = require('../../check/judge/model');

const MS = 1e6;
const [OLD, NEW] = [1000, 2000];

/** Calls of two processes in redis mode: `since` tells one connection of a process from another. */
function call(place, op, at, what = {}, since = 1) {
  const state = ['redis', since];
  return { place, client: place, op, start: at * MS, end: (at + 1) * MS, before: state, after: state, ...what };
}

/** A failover from one server to another: the last look at the offset that the new one had was at 100 ms. */
const failover = {
  firsts: [OLD],
  promotions: [{ shard: 0, server: NEW, after: 150 * MS, safe: 100 * MS }],
  contacts: {
    a: [
      [0, 0, OLD],
      [200 * MS, 0, NEW],
    ],
    b: [
      [0, 0, OLD],
      [200 * MS, 0, NEW],
    ],
  },
};

function judge(ops, fleet = failover, events = []) {
  const places = { a: 'a', b: 'b' };
  const options = { timeoutMs: 40 };
  const topology = fleet.of === undefined ? 'sentinel' : 'cluster';
  const plan = { options, topology, keys: ['k', 'n'], counters: ['n'], tags: ['t'], clients: [], faults: [] };
  const numbered = ops.map((op, seq) => ({ result: null, ...op, seq }));
  const raw = { ops: numbered, events, processOf: places, final: { k: [null, null], n: [null, null] }, lost: [] };
  return check(plan, { ...raw, fleet }).map(({ guarantee }) => guarantee);
}

const set = (at) => call('a', 'set', at, { key: 'k', value: 10, ttl: 20 });
const read = (place, at, since) => call(place, 'get', at, { key: 'k', result: 10 }, since);
const sync = (place, at, since) => call(place, 'sync', at, { key: 'fresh' }, since);

test('a delete that the new primary certainly has is demanded behind the failover', () => {
  const deleted = [set(10), call('a', 'del', 90, { keys: ['k'] })];
  expect(judge([...deleted, read('a', 300, 2)])).toEqual(['G1']);
  expect(judge([...deleted, sync('b', 290, 2), read('b', 300, 2)])).toEqual(['G2']);
});

test('a delete that the old primary acknowledged too late may be lost with it', () => {
  const deleted = [set(10), call('a', 'del', 120, { keys: ['k'] })];
  expect(judge([...deleted, read('a', 300, 2)])).toEqual([]);
  expect(judge([...deleted, sync('b', 290, 2), read('b', 300, 2)])).toEqual([]);
});

test('a call that settled as its outage was noticed may have been acknowledged before, and be lost so', () => {
  const unknown = (at) => ({ ...call('a', 'del', at, { keys: ['k'] }), after: ['memory', at] });
  expect(judge([set(10), unknown(120), read('a', 300, 2)])).toEqual([]);
  // One that the new primary certainly has, and one of the outage, which is undone there.
  expect(judge([set(10), unknown(90), read('a', 300, 2)])).toEqual(['G3']);
  const away = { before: ['memory', 110], after: ['memory', 110] };
  expect(judge([set(10), { ...call('a', 'del', 120, { keys: ['k'] }), ...away }, read('a', 300, 2)])).toEqual(['G3']);
});

test('no reign loses anything of its own', () => {
  const deleted = [set(10), call('a', 'del', 120, { keys: ['k'] })];
  expect(judge([...deleted, read('a', 140)])).toEqual(['G1']);
  expect(judge([...deleted, sync('b', 130), read('b', 140)])).toEqual(['G2']);
  const later = [set(10), call('a', 'del', 250, { keys: ['k'] }, 2)];
  expect(judge([...later, sync('b', 290, 2), read('b', 300, 2)])).toEqual(['G2']);
});

test('who is with the old primary yet hears nothing of what the new one acknowledged', () => {
  const deleted = [set(10), call('a', 'del', 250, { keys: ['k'] }, 2)];
  const behind = { ...failover, contacts: { ...failover.contacts, b: [[0, 0, OLD]] } };
  expect(judge([...deleted, sync('b', 290), read('b', 300)], behind)).toEqual([]);
});

test('an increment counts where the new primary certainly has it', () => {
  const HEAD = 4 ** 22;
  const adding = (at) => [
    call('a', 'increment', at, { key: 'n', amount: 1, result: HEAD + 1 }),
    call('a', 'get', 300, { key: 'n', result: HEAD }, 2),
  ];
  expect(judge(adding(90))).toEqual(['G1']);
  expect(judge(adding(120))).toEqual([]);
});

test('a value is taken once, unless the primary that gave it away is lost', () => {
  const take = (place, at, since) => call(place, 'take', at, { key: 'k', result: 10 }, since);
  expect(judge([set(10), take('a', 20), take('b', 30)])).toEqual(['G1']);
  expect(judge([set(10), take('a', 90), take('b', 300, 2)])).toEqual(['G1']);
  expect(judge([set(10), take('a', 120), take('b', 300, 2)])).toEqual([]);
});

test('what was taken is read no more, and what was not taken is there', () => {
  const take = (result) => call('a', 'take', 20, { key: 'k', result });
  const got = (result) => call('a', 'get', 30, { key: 'k', result });
  expect(judge([set(10), take(10), got(10)])).toEqual(['G1']);
  expect(judge([set(10), take(10), got(null)])).toEqual([]);
  expect(judge([set(10), take(null)])).toEqual(['G1']);
});

test('setIfAbsent stores where nothing is, and nothing where something is', () => {
  const add = (result) => call('a', 'setIfAbsent', 20, { key: 'k', value: 20, ttl: 20, result });
  const got = (result) => call('a', 'get', 30, { key: 'k', result });
  const deleted = call('a', 'del', 15, { keys: ['k'] });
  expect(judge([set(10), add(true)])).toEqual(['G1']);
  expect(judge([set(10), deleted, add(true), got(20)])).toEqual([]);
  expect(judge([set(10), deleted, add(true), got(null)])).toEqual(['G1']);
  expect(judge([set(10), deleted, add(true), got(10)])).toContain('G1');
  expect(judge([set(10), add(false), got(10)])).toEqual([]);
  expect(judge([set(10), add(false), got(20)])).toEqual(['G1']);
});

describe('a cluster', () => {
  const shards = (one, other) => [[[OLD, one, 1, 8_192]], [[NEW, other, 1, 8_192]]];
  const at = (states) => ({ before: ['redis', 1, states], after: ['redis', 1, states] });
  const fleet = {
    firsts: [OLD, NEW],
    promotions: [],
    moves: [],
    of: { k: [0], n: [1], t: [1] },
    shardOf: { [OLD]: 0, [NEW]: 1 },
  };
  const both = at(shards('redis', 'redis'));

  test('a server vouches for its own keys, and not for those of another', () => {
    const deleted = [
      { ...set(10), ...both },
      { ...call('a', 'del', 20, { keys: ['k'] }), ...both },
    ];
    const behind = (of) => [
      { ...sync('b', 30), of, ...both },
      { ...read('b', 40), ...both },
    ];
    expect(judge([...deleted, ...behind('k')], fleet)).toEqual(['G2']);
    expect(judge([...deleted, ...behind('n')], fleet)).toEqual([]);
  });

  test('an own write is missed only where its own server was away, or its slot moved without its keys', () => {
    const missed = [
      { ...set(10), ...both },
      { ...call('a', 'get', 30, { key: 'k', result: null }), ...both },
    ];
    expect(judge(missed, fleet)).toEqual(['G1']);
    const away = (server) => [{ place: 'a', name: 'fallback', at: 20 * MS, node: `127.0.0.1:${server}` }];
    expect(judge(missed, fleet, away(OLD))).toEqual([]);
    expect(judge(missed, fleet, away(NEW))).toEqual(['G1']);
    const drop = { slot: 1, names: ['k'], to: 1, keys: false, from: 15 * MS, till: 25 * MS };
    expect(judge(missed, { ...fleet, moves: [drop] })).toEqual([]);
    expect(judge(missed, { ...fleet, moves: [{ ...drop, keys: true }] })).toEqual(['G1']);
  });

  test('a value with a tag is missed where its token came too late, from whatever server', () => {
    const tagged = (took, key = 'k') => [
      { ...set(10), key, tag: 't', end: (10 + took) * MS, ...both },
      { ...call('a', 'get', 80, { key, result: null }), ...both },
    ];
    expect(judge(tagged(19), fleet)).toEqual(['G1']);
    expect(judge(tagged(20), fleet)).toEqual([]);
    const beside = { ...fleet, of: { ...fleet.of, t: [0] } };
    expect(judge(tagged(19), beside)).toEqual(['G1']);
    expect(judge(tagged(20), beside)).toEqual([]);
  });
});
