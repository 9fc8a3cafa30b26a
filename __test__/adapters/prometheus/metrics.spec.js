// What a registry of prom-client writes of caches, against what the caches count.
'use strict';

const { AggregatorRegistry, Counter, Registry } = require('prom-client');
const { register } = require('holdfast/prometheus');
const { version } = require('../../../package.json');
const { closeCaches, expectThrows, makeCache, stored } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { untilMode } = require('../../support/until');
const { describeModes } = require('../support/modes');
const { askerOf, samplesOf, typesOf } = require('./support/exposition');

afterEach(closeCaches);

/** Gives what counters there are something to count. */
async function use(cache) {
  await cache.setMany({ a: 1, b: 2 });
  for (let n = 0; n < 6; n++) await cache.get('a');
  await cache.getMany(['b', 'nothing']);
  await cache.del('b');
  await Promise.all([1, 2].map(() => cache.getOrCompute('k', () => 1)));
  await cache.getOrCompute('slow', () => new Promise((resolve) => setTimeout(resolve, 30, 1)));
  await stored(cache);
}

describeModes('a registry', ({ options, isShared }) => {
  test('has every number of a cache, each at its labels', async () => {
    const registry = new Registry();
    const cache = makeCache(options());
    await cache.ready();
    register({ cache, name: 'shop', connection: 'main', registry });
    await use(cache);
    const [scrape, counters] = [registry.metrics(), cache.getCounters()]; // of one moment
    const text = await scrape;
    const of = askerOf(text);
    const own = (name, labels) => of(`holdfast_${name}`, { cache: 'shop', ...labels });
    const shared = (name, labels) => of(`holdfast_${name}`, { connection: 'main', ...labels });
    const { hits, misses } = counters;
    expect(hits.total + misses.total).toBe(10);
    const requests = samplesOf(text).filter(({ name }) => name === 'holdfast_requests_total');
    const told = requests.map(({ labels, value }) => [labels.tier, labels.result, value]);
    expect(told).toEqual([
      ['hot', 'hit', hits.hot],
      ['near', 'hit', hits.near - hits.hot],
      ['redis', 'hit', hits.redis],
      ['memory', 'hit', hits.memory],
      ['redis', 'miss', misses.redis],
      ['memory', 'miss', misses.memory],
    ]);
    expect(told.reduce((sum, [, , value]) => sum + value, 0)).toBe(10);
    expect(counters).toMatchObject({ sets: 4, deletes: 1, computes: 2, coalesced: 1 });
    for (const [name, counter] of [
      ['sets_total', 'sets'],
      ['deletes_total', 'deletes'],
      ['computes_total', 'computes'],
      ['coalesced_total', 'coalesced'],
      ['stale_served_total', 'staleServed'],
      ['compute_timeouts_total', 'computeTimeouts'],
      ['lease_waits_total', 'leaseWaits'],
      ['lease_takeovers_total', 'leaseTakeovers'],
      ['decode_errors_total', 'decodeErrors'],
    ]) {
      expect([name, own(name)]).toEqual([name, counters[counter]]);
    }
    for (const [name, counter] of [
      ['outages_total', 'outages'],
      ['outage_seconds_total', 'outageSeconds'],
      ['reconnects_total', 'reconnects'],
      ['evictions_total', 'evictions'],
      ['expired_total', 'expired'],
      ['journal_overflows_total', 'journalOverflows'],
      ['sent_bytes_total', 'bytesSent'],
      ['received_bytes_total', 'bytesReceived'],
    ]) {
      expect([name, shared(name)]).toEqual([name, counters[counter]]);
    }
    for (const [kind, count] of Object.entries(counters.errors)) expect(shared('errors_total', { kind })).toBe(count);
    const { keys, pushes, flushes } = counters.invalidations;
    expect(shared('invalidated_keys_total')).toBe(keys);
    expect(shared('invalidation_pushes_total')).toBe(pushes);
    expect(shared('invalidation_flushes_total')).toBe(flushes);
    const mode = isShared ? 'redis' : 'memory';
    const modes = ['initializing', 'redis', 'memory'].map((each) => own('mode', { mode: each }));
    expect(modes).toEqual(['initializing', 'redis', 'memory'].map((each) => Number(each === mode)));
    expect([own('degraded'), shared('journal_entries'), shared('in_flight_calls')]).toEqual([0, 0, 0]);
    expect(of('holdfast_info', { version })).toBe(1);
  });

  test('has the histograms as the cache has counted them', async () => {
    const registry = new Registry();
    const cache = makeCache(options());
    await cache.ready();
    register({ cache, registry });
    await use(cache);
    const [scrape, { computeSeconds, batchSeconds }] = [registry.metrics(), cache.getCounters()];
    const text = await scrape;
    expect(computeSeconds.count).toBe(2);
    expect(batchSeconds.count > 0).toBe(isShared);
    for (const [name, { bounds, buckets, count, sum }] of [
      ['holdfast_compute_duration_seconds', computeSeconds],
      ['holdfast_batch_duration_seconds', batchSeconds],
    ]) {
      expect(typesOf(text).get(name)).toBe('histogram');
      const lines = samplesOf(text).filter((sample) => sample.name === `${name}_bucket`);
      expect(lines.map(({ labels, value }) => [labels.le, value])).toEqual([
        ...bounds.map((bound, at) => [String(bound), buckets[at]]),
        ['+Inf', count],
      ]);
      const of = askerOf(text);
      expect([of(`${name}_sum`), of(`${name}_count`)]).toEqual([sum, count]);
    }
  });

  test('tells what the process holds', async () => {
    const registry = new Registry();
    const cache = makeCache(options());
    await cache.ready();
    register({ cache, connection: 'main', registry });
    await cache.set('a', 'x'.repeat(1_000));
    await cache.get('a');
    const [scrape, { memory }] = [registry.metrics(), cache.health()]; // of one moment
    const text = await scrape;
    const of = askerOf(text);
    const told = ['entries', 'bytes', 'max_bytes'].map((name) => {
      expect(typesOf(text).get(`holdfast_memory_${name}`)).toBe('gauge');
      return of(`holdfast_memory_${name}`, { connection: 'main' });
    });
    expect(told).toEqual([memory.entries, memory.bytes, memory.maxBytes]);
    expect([memory.entries > 0, memory.bytes > 1_000]).toEqual([true, true]);
  });
});

test('a scrape reads each cache once, and asks Redis for nothing', async () => {
  const registry = new Registry();
  const caches = ['one', 'two'].map((name) => {
    const cache = makeCache();
    register({ cache, name, registry });
    return cache;
  });
  const looks = caches.flatMap((cache) => [jest.spyOn(cache, 'getCounters'), jest.spyOn(cache, 'health')]);
  const stats = caches.map((cache) => jest.spyOn(cache, 'getStats'));
  await registry.metrics();
  expect(looks.map((look) => look.mock.calls.length)).toEqual([1, 1, 1, 1]);
  await caches[0].set('a', 1);
  expect(askerOf(await registry.metrics())('holdfast_sets_total', { cache: 'one' })).toBe(1);
  expect(looks.map((look) => look.mock.calls.length)).toEqual([2, 2, 2, 2]);
  for (const each of stats) expect(each).not.toHaveBeenCalled();
});

test('memory is told once for a connection, by a cache that is open', async () => {
  const registry = new Registry();
  const [one, two, other] = [makeCache(), makeCache(), makeCache()];
  register({ cache: one, name: 'one', registry });
  register({ cache: two, name: 'two', registry });
  register({ cache: other, name: 'other', connection: 'elsewhere', registry });
  const told = async () =>
    samplesOf(await registry.metrics()).flatMap(({ name, labels, value }) =>
      name === 'holdfast_memory_max_bytes' ? [[labels.connection, value]] : [],
    );
  const { maxBytes } = one.health().memory;
  expect(maxBytes).toBeGreaterThan(0);
  await one.close();
  expect(await told()).toEqual([
    ['default', maxBytes],
    ['elsewhere', maxBytes],
  ]);
  await two.close();
  expect(await told()).toEqual([
    ['default', 0],
    ['elsewhere', maxBytes],
  ]);
});

test('caches have series of their own, and those of one connection are told once', async () => {
  const registry = new Registry();
  const [one, two, other] = [makeCache(), makeCache(), makeCache()];
  register({ cache: one, name: 'one', registry });
  register({ cache: two, name: 'two', registry });
  register({ cache: other, name: 'other', connection: 'elsewhere', registry });
  await one.set('a', 1);
  const text = await registry.metrics();
  const labelsOf = (name, label) =>
    samplesOf(text).flatMap((sample) => (sample.name === name ? [sample.labels[label]] : []));
  expect(labelsOf('holdfast_sets_total', 'cache')).toEqual(['one', 'two', 'other']);
  expect(labelsOf('holdfast_outages_total', 'connection')).toEqual(['default', 'elsewhere']);
  expect(labelsOf('holdfast_info', 'version')).toEqual([version]);
  const of = askerOf(text);
  expect([of('holdfast_sets_total', { cache: 'one' }), of('holdfast_sets_total', { cache: 'two' })]).toEqual([1, 0]);
});

test('a cache that is registered twice, or as another one, is a mistake', async () => {
  const registry = new Registry();
  const [cache, other] = [makeCache(), makeCache()];
  const registration = register({ cache, registry });
  for (const options of [{ cache }, { cache: other }, { cache, name: 'again' }]) {
    expectThrows(() => register({ ...options, registry }), 'ERR_INVALID_ARGUMENT');
  }
  // Elsewhere, or under another prefix, it is none; nor once it was taken away.
  register({ cache, registry: new Registry() });
  register({ cache, prefix: 'app_', registry });
  registration.unregister();
  registration.unregister();
  const again = register({ cache, registry });
  registration.unregister();
  expect(askerOf(await registry.metrics())('holdfast_sets_total')).toBe(0);
  again.unregister();
});

test('a registry that has a metric of the same name is left as it is', async () => {
  const registry = new Registry();
  const own = new Counter({ name: 'holdfast_sets_total', help: 'own', registers: [registry] });
  expectThrows(() => register({ cache: makeCache(), registry }), 'ERR_INVALID_ARGUMENT');
  expect(registry.getMetricsAsArray()).toEqual([own]);
});

test('the metrics leave the registry with the last cache, and come back after clear()', async () => {
  const registry = new Registry();
  const [one, two] = [makeCache(), makeCache()];
  const registrations = [register({ cache: one, registry }), register({ cache: two, name: 'two', registry })];
  registrations[0].unregister();
  expect(askerOf(await registry.metrics())('holdfast_sets_total')).toBe(0);
  // The name is another one's now.
  const heir = register({ cache: one, registry });
  registrations[0].unregister();
  expect(askerOf(await registry.metrics())('holdfast_sets_total', { cache: 'default' })).toBe(0);
  heir.unregister();
  registrations[1].unregister();
  expect(registry.getMetricsAsArray()).toEqual([]);
  register({ cache: one, registry });
  registry.clear();
  const again = register({ cache: one, registry });
  expect(askerOf(await registry.metrics())('holdfast_sets_total')).toBe(0);
  registry.clear();
  const own = new Counter({ name: 'holdfast_sets_total', help: 'own', registers: [registry] });
  again.unregister();
  expect(registry.getMetricsAsArray()).toEqual([own]);
});

test.each([
  [null],
  [[]],
  [{ cahce: {} }],
  [{ cache: {} }],
  [{ name: '' }],
  [{ name: 7 }],
  [{ name: 'a b' }],
  [{ name: 'x'.repeat(65) }],
  [{ connection: 'redis://user:password@host/0' }],
  [{ memory: true }],
  [{ prefix: '' }],
  [{ prefix: 'my-' }],
  [{ registry: {} }],
])('options that do not fit are a mistake: %j', (options) => {
  const registry = new Registry();
  const whole = options === null || Array.isArray(options) ? options : { cache: makeCache(), registry, ...options };
  const { message } = expectThrows(() => register(whole), 'ERR_INVALID_ARGUMENT');
  expect(message).not.toContain('password');
  expect(registry.getMetricsAsArray()).toEqual([]);
});

test('OpenMetrics, labels of the registry, and a reset', async () => {
  const registry = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  registry.setDefaultLabels({ service: 'shop' });
  const cache = makeCache();
  const registration = register({ cache, registry });
  await cache.set('a', 1);
  for (let round = 0; round < 2; round++) {
    const text = await registry.metrics();
    expect(text).toMatch(/\n# EOF\n$/);
    expect(typesOf(text).get('holdfast_sets')).toBe('counter');
    expect(askerOf(text)('holdfast_sets_total', { service: 'shop', cache: 'default' })).toBe(1);
    expect(text).not.toMatch(/_total_total/);
    registry.resetMetrics();
  }
  registration.unregister();
  expect(registry.getMetricsAsArray()).toEqual([]);
});

test('the metrics of the workers of a cluster are added up', async () => {
  const texts = await Promise.all(
    [1, 2].map(async (sets) => {
      const registry = new Registry();
      const cache = makeCache();
      register({ cache, registry });
      for (let n = 0; n < sets; n++) await cache.set('a', n);
      await cache.getOrCompute('k', () => 1);
      await stored(cache);
      return registry.getMetricsAsJSON();
    }),
  );
  const of = askerOf(await AggregatorRegistry.aggregate(texts).metrics());
  expect(of('holdfast_sets_total')).toBe(5);
  expect(of('holdfast_mode', { mode: 'memory' })).toBe(2);
  expect(of('holdfast_info')).toBe(1);
  expect(of('holdfast_compute_duration_seconds_bucket', { le: '+Inf' })).toBe(2);
});

describe('beside a Redis with a password', () => {
  const server = serverForAll({ password: 'secret-of-this-test' });

  test('an outage is told, and nothing that is secret', async () => {
    const registry = new Registry();
    const cache = makeCache({ url: server.url(), timeoutMs: 250 });
    register({ cache, registry });
    await untilMode(cache, 'redis');
    await cache.set('key-of-this-test', 1);
    await cache.get('key-of-this-test');
    try {
      await server.kill('SIGSTOP');
      await cache.get('another');
      await untilMode(cache, 'memory');
      const text = await registry.metrics();
      const of = askerOf(text);
      expect([of('holdfast_mode', { mode: 'redis' }), of('holdfast_mode', { mode: 'memory' })]).toEqual([0, 1]);
      expect([of('holdfast_degraded'), of('holdfast_outages_total')]).toEqual([1, 1]);
      expect(of('holdfast_errors_total', { kind: 'timeout' })).toBeGreaterThan(0);
      expect(of('holdfast_memory_max_bytes')).toBeGreaterThan(0);
      for (const secret of ['secret-of-this-test', 'key-of-this-test', `:${server.port}`, '127.0.0.1', 'redis:/']) {
        expect(text).not.toContain(secret);
      }
    } finally {
      await server.kill('SIGCONT');
    }
    await untilMode(cache, 'redis');
    const of = askerOf(await registry.metrics());
    expect([of('holdfast_degraded'), of('holdfast_outage_seconds_total') > 0]).toEqual([0, true]);
  });

  test('a connection is told of by a cache that is open', async () => {
    const registry = new Registry();
    const [one, two] = [makeCache({ url: server.url() }), makeCache({ url: server.url() })];
    register({ cache: one, name: 'one', registry });
    register({ cache: two, name: 'two', registry });
    await Promise.all([untilMode(one, 'redis'), untilMode(two, 'redis')]);
    await one.set('a', 1);
    await one.close();
    const before = askerOf(await registry.metrics())('holdfast_sent_bytes_total');
    await two.set('b', 'x'.repeat(10_000));
    const of = askerOf(await registry.metrics());
    expect(of('holdfast_sent_bytes_total') - before).toBeGreaterThan(10_000);
    expect(of('holdfast_sets_total', { cache: 'one' })).toBe(1);
  });
});
