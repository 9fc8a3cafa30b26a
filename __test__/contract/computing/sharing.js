// Contract: several caches of one URL and namespace in one thread share what they compute, and each gets values of its
// own.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');
const { computation } = require('../../support/computation');
const { until } = require('../../support/until');

const notRun = () => {
  throw new Error('the function must not run');
};

module.exports = function sharing(mode) {
  let namespace;
  beforeEach(() => {
    namespace = freshNamespace();
  });
  const two = (of = {}, and = {}) => Promise.all([mode.cache({ namespace, ...of }), mode.cache({ namespace, ...and })]);
  const handedOver = (cache) => cache.get('a round trip');

  test('one computes, the other follows and is told once', async () => {
    const [a, b] = await two();
    const held = computation();
    const first = a.getOrCompute('k', held.fn);
    await held.begun();
    const rest = [b, b, a].map((cache) => cache.getOrCompute('k', notRun));
    const many = b.getOrComputeMany(['k', 'l'], (keys) => keys);
    for (let n = 0; n < 20; n++) await handedOver(b);
    held.open({ n: 1 });
    const values = [await first, ...(await Promise.all(rest)), (await many)[0]];
    expect(values).toEqual(Array(5).fill({ n: 1 }));
    expect(new Set(values).size).toBe(5);
    expect(held.runs).toBe(1);
    // Whoever spins asks thousands of times.
    expect((await b.getStats()).coalesced).toBeLessThan(10);
  });

  test('what a function throws reaches the callers of both unchanged', async () => {
    const [a, b] = await two();
    const held = computation();
    const calls = [a.getOrCompute('k', held.fn)];
    await held.begun();
    calls.push(b.getOrCompute('k', notRun), a.getOrCompute('k', notRun));
    const settled = Promise.allSettled(calls);
    await handedOver(b);
    const failure = new Error('on purpose');
    held.fail(failure);
    for (const { reason } of await settled) expect(reason).toBe(failure);
    expect(await b.getOrCompute('k', () => 'anew')).toBe('anew');
  });

  test('callers that ask at once in both', async () => {
    const [a, b] = await two();
    let runs = 0;
    const compute = async () => ({ run: ++runs });
    const calls = Array.from({ length: 40 }, (_, n) => (n % 2 ? a : b).getOrCompute('k', compute));
    expect(await Promise.all(calls)).toEqual(Array(40).fill({ run: 1 }));
  });

  test('a function of one that asks the other for its own key is told so', async () => {
    const [a, b] = await two();
    await expectCode(() => a.getOrCompute('k', () => b.getOrCompute('k', notRun)), 'ERR_COMPUTE_DEADLOCK');
    const elsewhere = await mode.cache();
    expect(await a.getOrCompute('k', () => elsewhere.getOrCompute('k', () => 1))).toBe(1);
  });

  test('with frozen values in one of them each caller gets what it may change, or share', async () => {
    const [frozen, copied] = await two({ nearCache: { values: 'frozen' } });
    const old = { n: 'old', in: [1] };
    await copied.getOrCompute('k', () => old, { ttl: 0.05, grace: 60 });
    await until(async () => (await copied.get('k')) === null, 'the TTL is over');
    const held = computation();
    const options = { swr: 60, grace: 60 };
    expect(await frozen.getOrCompute('k', held.fn, options)).toEqual(old);
    const stale = await copied.getOrCompute('k', notRun, options);
    stale.in.push('changed');
    expect(await copied.getOrCompute('k', notRun, options)).toEqual(old);
    held.open({ n: 'new', in: [1] });
    await until(async () => (await copied.getOrCompute('k', notRun, options)).n === 'new');
    const fresh = await copied.getOrCompute('k', notRun, options);
    fresh.in.push('changed');
    expect(await copied.get('k')).toEqual({ n: 'new', in: [1] });
  });

  test('caches of other codecs compute values of their own', async () => {
    const [json, structured] = await two({}, { codec: 'structured' });
    const held = computation();
    const first = json.getOrCompute('k', held.fn);
    await held.begun();
    const at = new Date(7);
    const second = structured.getOrCompute('k', () => ({ at }), { lock: false });
    const third = structured.getOrCompute('k', notRun, { lock: false });
    expect(await Promise.all([second, third])).toEqual([{ at }, { at }]);
    held.open({ n: 1 });
    expect(await first).toEqual({ n: 1 });
  });

  test('one is closed while its function runs on: who follows in the other gets the value', async () => {
    const [a, b] = await two();
    await a.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 60 });
    await until(async () => (await a.get('k')) === null, 'the TTL is over');
    const held = computation();
    expect(await a.getOrCompute('k', held.fn, { swr: 60 })).toBe('old');
    await held.begun();
    const follower = b.getOrCompute('k', () => 'own');
    await handedOver(b);
    await a.close();
    expect(await b.getOrCompute('other', () => 1)).toBe(1);
    held.open('new');
    expect(['new', 'own']).toContain(await follower);
    expect(await b.getOrCompute('k', () => 'own', { swr: 60 })).toMatch(/^(own|old|new)$/);
  });

  test('the patience of each is its own', async () => {
    const [a, b] = await two();
    const held = computation();
    const patient = a.getOrCompute('k', held.fn);
    await held.begun();
    await expectCode(() => b.getOrCompute('k', notRun, { hardTimeout: 0.02 }), 'ERR_COMPUTE_TIMEOUT');
    await b.close();
    held.open(1);
    expect(await patient).toBe(1);
    expect(await a.get('k')).toBe(1);
  });
};
