// The checker's judge where a server starts anew, a process dies, or callers take old values: what these allow it
// allows, and nothing else.
'use strict';

const { check } = require('../../check/judge/model');

const MS = 1e6;
const HEAD = 4 ** 22;

/** A call in redis mode: `since` tells one connection of a process from another. */
function call(place, op, at, what = {}, since = 1) {
  const state = ['redis', since];
  return { place, client: place, op, start: at * MS, end: (at + 1) * MS, before: state, after: state, ...what };
}

/** The same, in an outage. */
function away(place, op, at, what = {}) {
  const state = ['memory', 1];
  return call(place, op, at, { ...what, before: state, after: state });
}

function judge(ops, what = {}) {
  const processOf = { a: 'a', 'a+': 'a', b: 'b' };
  const plan = { keys: ['k', 'n'], counters: ['n'], tags: ['t'], clients: [], faults: [] };
  const numbered = ops.map((op, seq) => ({ result: null, ...op, seq }));
  const raw = { ops: numbered, events: [], processOf, final: { k: [null, null], n: [null, null] }, lost: [], ...what };
  return check(plan, raw).map(({ guarantee }) => guarantee);
}

const set = (at, place = 'a') => call(place, 'set', at, { key: 'k', value: 10, ttl: 20 });
const del = (at, place = 'a') => call(place, 'del', at, { keys: ['k'] });
const read = (place, at, since = 2) => call(place, 'get', at, { key: 'k', result: 10 }, since);
const sync = (place, at, since = 2) => call(place, 'sync', at, { key: 'fresh' }, since);

describe('a server that ends and starts anew', () => {
  const [down, up] = [100 * MS, 150 * MS];
  const saved = { restarts: [{ down, up, snapshot: [60 * MS, 62 * MS] }] };
  const empty = { restarts: [{ down, up, snapshot: null }] };

  test('its file gives back what was deleted since it was saved, and nothing that was deleted before', () => {
    expect(judge([set(10), del(80), read('a', 200)], saved)).toEqual([]);
    expect(judge([set(10), del(80), sync('b', 190), read('b', 200)], saved)).toEqual([]);
    expect(judge([set(10), del(30), read('a', 200)], saved)).toEqual(['G1']);
    expect(judge([set(10), del(30), sync('b', 190), read('b', 200)], saved)).toEqual(['G2']);
    // Behind the start, and in front of the end.
    expect(judge([set(10), del(180), read('a', 200)], saved)).toEqual(['G1']);
    expect(judge([set(10), del(80), read('a', 90)], saved)).toEqual(['G1']);
  });

  test('its file does not give back what it never had', () => {
    expect(judge([set(70), del(80), read('a', 200)], saved)).toEqual(['G1']);
  });

  test('a server that starts with nothing gives nothing back', () => {
    expect(judge([set(10), del(80), read('a', 200)], empty)).toEqual(['G1']);
  });

  test('what a process ended in the outage holds: its journal is replayed behind the start', () => {
    const ended = [set(10), away('a', 'del', 120, { keys: ['k'] }), call('a', 'get', 190, { key: 'k' }, 2)];
    expect(judge([...ended, read('a', 200)], saved)).toEqual(['G3']);
    // Where it was back before the server ended, that has lost the replay, too.
    const before = [set(10), away('a', 'del', 65, { keys: ['k'] }), call('a', 'get', 80, { key: 'k' }, 2)];
    expect(judge([...before, read('a', 200)], saved)).toEqual([]);
  });

  test('increments that were saved count, and what came later may not', () => {
    const adding = (at) => [
      call('a', 'increment', at, { key: 'n', amount: 1, result: HEAD + 1 }),
      call('a', 'get', 200, { key: 'n', result: HEAD }, 2),
    ];
    expect(judge(adding(30), saved)).toEqual(['G1']);
    expect(judge(adding(80), saved)).toEqual([]);
    expect(judge(adding(170), saved)).toEqual(['G1']);
    expect(judge(adding(30), empty)).toEqual([]);
  });

  test('keys of others are there, where its file has them', () => {
    expect(judge([], { ...saved, lost: ['appx:k0'] })).toEqual(['G8']);
    expect(judge([], { ...empty, lost: ['appx:k0'] })).toEqual([]);
  });
});

describe('a process that dies', () => {
  const deaths = { deaths: [{ process: 'b', at: 100 * MS, silent: 120 * MS }], ended: ['b'] };

  test('what it ended in an outage others may read, unless it was back before it died', () => {
    const ended = [set(10), away('b', 'del', 60, { keys: ['k'] })];
    const settled = { ...read('a', 200, 1), client: 'settle' };
    const final = { k: ['10', '10'], n: [null, null] };
    expect(judge([...ended, settled], { ...deaths, final })).toEqual([]);
    expect(judge([...ended, settled], { final })).toEqual(['G3']);
    const back = call('b', 'get', 80, { key: 'k' }, 2);
    expect(judge([...ended, back, settled], { ...deaths, final })).toEqual(['G3']);
  });

  test('a call under way is neither demanded nor an offence, and takes effect no more once the network is silent', () => {
    const under = { ...del(99, 'b'), end: null, after: undefined };
    expect(judge([set(10), under, read('a', 130, 1)], deaths)).toEqual([]);
    expect(judge([set(10), under, read('a', 130, 1)])).toEqual(['G6']);
    const missed = (at) => [
      call('a', 'set', at, { key: 'k', value: 10, ttl: 20 }),
      call('a', 'get', at + 9, { key: 'k' }),
    ];
    expect(judge([under, ...missed(150)], deaths)).toEqual([]);
    expect(judge([under, ...missed(180)], deaths)).toEqual(['G1']);
  });

  test('its lease is waited for as long as it lives, and no longer', () => {
    const waiting = (ms) => {
      const run = { key: 'k', value: 10, start: 10 * MS, end: 20 * MS };
      const states = { before: ['redis', 1], after: ['redis', 1] };
      const what = { key: 'k', value: 10, ttl: 20, result: 10, lock: true, runs: [{ ...run, ...states }] };
      return [{ ...call('a', 'compute', 9, what), end: (100 + ms) * MS }];
    };
    expect(judge(waiting(3_200), deaths)).toEqual([]);
    expect(judge(waiting(5_500), deaths)).toEqual(['G6']);
    expect(judge(waiting(5_500))).toEqual([]);
  });
});

describe('old values', () => {
  /** Stored at 20 ms with a TTL of 10 ms, and kept for 100 ms more. */
  function computed(terms) {
    const state = ['redis', 1];
    const run = { key: 'k', value: 10, start: 10 * MS, end: 20 * MS, before: state, after: state };
    const runs = [{ ...run, landed: 22 * MS, settled: state }];
    return {
      ...call('a', 'compute', 9, { key: 'k', value: 10, ttl: 0.01, result: 10, lock: true, runs, ...terms }),
      end: 21 * MS,
    };
  }
  const asks = (at, terms) =>
    call('b', 'compute', at, { key: 'k', value: 20, ttl: 0.01, result: 10, lock: true, ...terms });
  const [swr, grace] = [{ swr: 100 }, { grace: 100 }];

  test('are given to those who take them, for as long as these and the value say, and to nobody else', () => {
    expect(judge([computed(swr), asks(150, swr)])).toEqual([]);
    expect(judge([computed(swr), asks(200, swr)])).toEqual(['G5']);
    expect(judge([computed(swr), asks(150, { swr: 20 })])).toEqual(['G5']);
    expect(judge([computed({ swr: 20 }), asks(150, swr)])).toEqual(['G5']);
    expect(judge([computed(swr), asks(150, {})])).toEqual(['G5']);
    expect(judge([computed(swr), read('b', 150, 1)])).toEqual(['G5']);
  });

  const state = ['redis', 1];
  const run = { key: 'k', value: 20, start: 150 * MS, before: state };
  const ran = { ...run, end: 150.5 * MS, after: state };

  test('are no substitute for what the own function returned', () => {
    expect(judge([computed(grace), asks(150, { ...grace, runs: [ran] })])).toEqual(['G5']);
    expect(judge([computed(grace), asks(150, { ...grace, runs: [ran], fails: true })])).toEqual([]);
  });

  test('are given behind swr only where a function failed, was late, or is run by somebody else', () => {
    const late = { ...grace, runs: [run] };
    expect(judge([computed(grace), asks(150, late)])).toEqual(['G5']);
    expect(judge([computed(grace), asks(150, { ...late, timeout: 1 })])).toEqual([]);
    const other = (at, what) => [
      computed(grace),
      {
        ...asks(at, { ...grace, result: null, runs: [{ ...ran, start: at * MS, end: at * MS, ...what }] }),
        place: 'a',
      },
      asks(150, grace),
    ];
    expect(judge(other(149, { landed: 152 * MS, settled: state }))).toEqual([]);
    expect(judge(other(140, { landed: 145 * MS, settled: state }))).toEqual(['G5']);
    expect(judge(other(140, { landed: 145 * MS, settled: ['memory', 2] }))).toEqual([]);
  });

  test('are not given once the process has ended them', () => {
    expect(judge([computed(swr), del(100, 'b'), asks(120, swr)])).toEqual(['G4']);
  });

  test('lie in Redis for as long as they may serve', () => {
    const settled = { ...call('a', 'get', 25, { key: 'k', result: 10 }), client: 'settle' };
    const bytes = '\xff header';
    const lasting = (ms) => ({ final: { k: [bytes, bytes], n: [null, null] }, left: { k: [ms * MS, (ms + 1) * MS] } });
    expect(judge([computed(grace), settled], lasting(131))).toEqual([]);
    expect(judge([computed(grace), settled], lasting(250))).toEqual(['G5']);
    expect(judge([computed({}), settled], lasting(131))).toEqual(['G5']);
  });

  test('a function that fails rejects its own call, and those of its thread that share it', () => {
    const state = ['redis', 1];
    const run = { key: 'k', value: 20, start: 150 * MS, end: 152 * MS, before: state, after: state };
    const failed = (place, what) =>
      call(place, 'compute', 150, { key: 'k', value: 20, ttl: 1, lock: true, error: 'FAILED', ...what });
    const fails = failed('a', { fails: true, runs: [run] });
    expect(judge([fails])).toEqual([]);
    expect(judge([fails, failed('a', { value: 30 })])).toEqual([]);
    expect(judge([fails, failed('a+', { value: 30 })])).toEqual(['contract']);
    expect(judge([{ ...fails, error: 'ERR_OTHER' }])).toEqual(['contract']);
  });
});
