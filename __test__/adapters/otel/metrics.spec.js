// What a reader of OpenTelemetry's SDK collects of caches, against what the caches count.
'use strict';

const { DataPointType, MeterProvider, MetricReader } = require('@opentelemetry/sdk-metrics');
const { metricProducer, register } = require('holdfast/otel');
const { version } = require('../../../package.json');
const { closeCaches, expectThrows, makeCache, stored } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { untilMode } = require('../../support/until');
const { describeModes } = require('../support/modes');

/** A reader that collects when it is asked to. */
class Reader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

const ended = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
  await closeCaches();
});

/** A provider of its own; `collect()` gives what `value` and `points` look into. */
function open(options = {}) {
  const reader = new Reader(options);
  const meterProvider = new MeterProvider({ readers: [reader] });
  ended.push(() => meterProvider.shutdown());
  const collect = async () => {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    const metrics = resourceMetrics.scopeMetrics.flatMap((each) => {
      expect(each.scope).toMatchObject({ name: 'holdfast', version });
      return each.metrics;
    });
    const metric = (name) => metrics.find(({ descriptor }) => descriptor.name === name);
    const points = (name) => metric(name)?.dataPoints ?? [];
    const value = (name, attributes = {}) => {
      const found = points(name).filter((point) =>
        Object.entries(attributes).every(([attribute, each]) => point.attributes[attribute] === each),
      );
      expect([name, attributes, found.length]).toEqual([name, attributes, 1]);
      return found[0].value;
    };
    return { metrics, metric, points, value };
  };
  return { meterProvider, collect };
}

/** Registers a cache until the end of the test. */
function add(options) {
  const registration = register(options);
  ended.push(() => registration.unregister());
  return registration;
}

async function use(cache) {
  await cache.setMany({ a: 1, b: 2 });
  for (let n = 0; n < 6; n++) await cache.get('a');
  await cache.getMany(['b', 'nothing']);
  await cache.del('b');
  await Promise.all([1, 2].map(() => cache.getOrCompute('k', () => 1)));
  await cache.getOrCompute('slow', () => new Promise((resolve) => setTimeout(resolve, 30, 1)));
  await stored(cache);
}

describeModes('a reader', ({ options, isShared }) => {
  test('collects every number of a cache, each with its attributes', async () => {
    const { meterProvider, collect } = open();
    const cache = makeCache(options());
    await cache.ready();
    add({ cache, name: 'shop', connection: 'main', meterProvider });
    await use(cache);
    const { metrics, points, value } = await collect();
    const counters = cache.getCounters();
    const { memory } = cache.health();
    expect([memory.entries > 0, memory.bytes > 0, memory.maxBytes > 0]).toEqual([true, true, true]);
    const { hits, misses } = counters;
    expect(
      points('holdfast.cache.requests').map(({ attributes, value }) => [
        attributes['cache.name'],
        attributes['cache.tier'],
        attributes['cache.result'],
        value,
      ]),
    ).toEqual([
      ['shop', 'hot', 'hit', hits.hot],
      ['shop', 'near', 'hit', hits.near - hits.hot],
      ['shop', 'redis', 'hit', hits.redis],
      ['shop', 'memory', 'hit', hits.memory],
      ['shop', 'redis', 'miss', misses.redis],
      ['shop', 'memory', 'miss', misses.memory],
    ]);
    expect(counters).toMatchObject({ sets: 4, deletes: 1, computes: 2, coalesced: 1 });
    for (const [name, count] of [
      ['sets', counters.sets],
      ['deletes', counters.deletes],
      ['computes', counters.computes],
      ['compute.time', counters.computeSeconds.sum],
      ['compute.timeouts', counters.computeTimeouts],
      ['coalesced', counters.coalesced],
      ['stale', counters.staleServed],
      ['lease.waits', counters.leaseWaits],
      ['lease.takeovers', counters.leaseTakeovers],
      ['decode_errors', counters.decodeErrors],
    ]) {
      expect([name, value(`holdfast.cache.${name}`, { 'cache.name': 'shop' })]).toEqual([name, count]);
    }
    for (const [name, count] of [
      ['outages', counters.outages],
      ['outage.duration', counters.outageSeconds],
      ['reconnects', counters.reconnects],
      ['batches', counters.batchSeconds.count],
      ['batch.time', counters.batchSeconds.sum],
      ['cache.entry.count', memory.entries],
      ['cache.size', memory.bytes],
      ['cache.limit', memory.maxBytes],
      ['cache.evictions', counters.evictions],
      ['cache.expirations', counters.expired],
      ['cache.invalidations', counters.invalidations.keys],
      ['cache.invalidation.pushes', counters.invalidations.pushes],
      ['cache.invalidation.flushes', counters.invalidations.flushes],
      ['journal.size', 0],
      ['journal.overflows', counters.journalOverflows],
      ['in_flight', 0],
    ]) {
      expect([name, value(`holdfast.${name}`, { 'holdfast.connection': 'main' })]).toEqual([name, count]);
    }
    for (const [kind, count] of Object.entries(counters.errors)) {
      expect([kind, value('holdfast.errors', { 'error.type': kind })]).toEqual([kind, count]);
    }
    const bytes = ['transmit', 'receive'].map((each) => value('holdfast.network.io', { 'network.io.direction': each }));
    expect(bytes).toEqual([counters.bytesSent, counters.bytesReceived]);
    expect(bytes.every((each) => each > 0)).toBe(isShared);
    const mode = isShared ? 'redis' : 'memory';
    for (const each of ['initializing', 'redis', 'memory']) {
      expect([each, value('holdfast.cache.mode', { 'cache.mode': each })]).toEqual([each, Number(each === mode)]);
    }
    expect(value('holdfast.cache.degraded')).toBe(0);
    for (const { descriptor, dataPointType, isMonotonic } of metrics) {
      expect([descriptor.name, descriptor.unit, descriptor.description]).not.toContain('');
      const rises = !/\.(mode|degraded|in_flight|count|size|limit)$/.test(descriptor.name);
      expect([descriptor.name, dataPointType, isMonotonic]).toEqual([descriptor.name, DataPointType.SUM, rises]);
    }
  });

  test('collects the histograms by the producer', async () => {
    const { meterProvider, collect } = open({ metricProducers: [metricProducer] });
    const cache = makeCache(options());
    await cache.ready();
    add({ cache, name: 'shop', connection: 'main', meterProvider });
    await use(cache);
    const { metric, points } = await collect();
    const { computeSeconds, batchSeconds } = cache.getCounters();
    expect(computeSeconds.count).toBe(2);
    for (const [name, attributes, { bounds, buckets, count, sum }] of [
      ['holdfast.cache.compute.duration', { 'cache.name': 'shop' }, computeSeconds],
      [
        'db.client.operation.duration',
        { 'holdfast.connection': 'main', 'db.system.name': 'redis', 'db.operation.name': 'PIPELINE' },
        batchSeconds,
      ],
    ]) {
      expect(metric(name)).toMatchObject({ dataPointType: DataPointType.HISTOGRAM, descriptor: { unit: 's' } });
      const [point, ...more] = points(name);
      expect([more, point.attributes]).toEqual([[], attributes]);
      expect(point.value).toMatchObject({ count, sum, buckets: { boundaries: bounds } });
      const { counts } = point.value.buckets;
      expect(counts).toHaveLength(bounds.length + 1);
      // Each bucket by itself: added up they are the contract's.
      let upTo = 0;
      const added = counts.map((each) => {
        upTo += each;
        return upTo;
      });
      expect(added).toEqual([...buckets, count]);
      const [began, now] = [point.startTime, point.endTime].map(([s, ns]) => s * 1000 + ns / 1e6);
      expect([began <= now, now <= Date.now()]).toEqual([true, true]);
    }
  });
});

test('a collection looks at each cache once, and asks Redis for nothing', async () => {
  const { meterProvider, collect } = open();
  const cache = makeCache();
  add({ cache, meterProvider });
  const looks = [jest.spyOn(cache, 'getCounters'), jest.spyOn(cache, 'health')];
  const stats = jest.spyOn(cache, 'getStats');
  await collect();
  expect(looks.map((look) => look.mock.calls.length)).toEqual([1, 1]);
  await cache.set('a', 1);
  expect((await collect()).value('holdfast.cache.sets')).toBe(1);
  expect(looks.map((look) => look.mock.calls.length)).toEqual([2, 2]);
  expect(stats).not.toHaveBeenCalled();
});

test('caches have points of their own, and those of one connection are told once', async () => {
  const { meterProvider, collect } = open({ metricProducers: [metricProducer] });
  const caches = [makeCache(), makeCache(), makeCache()];
  add({ cache: caches[0], name: 'one', meterProvider });
  add({ cache: caches[1], name: 'two', meterProvider });
  add({ cache: caches[2], name: 'other', connection: 'elsewhere', meterProvider });
  await caches[0].set('a', 1);
  const { points, value } = await collect();
  const namesOf = (name, attribute) => points(name).map(({ attributes }) => attributes[attribute]);
  for (const name of ['holdfast.cache.sets', 'holdfast.cache.compute.duration']) {
    expect(namesOf(name, 'cache.name')).toEqual(['one', 'two', 'other']);
  }
  for (const name of ['holdfast.outages', 'holdfast.cache.size', 'db.client.operation.duration']) {
    expect(namesOf(name, 'holdfast.connection')).toEqual(['default', 'elsewhere']);
  }
  const sets = ['one', 'two'].map((name) => value('holdfast.cache.sets', { 'cache.name': name }));
  expect(sets).toEqual([1, 0]);
});

test('a cache that is registered twice, or as another one, is a mistake', async () => {
  const { meterProvider, collect } = open();
  const [cache, other] = [makeCache(), makeCache()];
  const registration = add({ cache, meterProvider });
  for (const options of [{ cache }, { cache: other }, { cache, name: 'again' }]) {
    expectThrows(() => register({ ...options, meterProvider }), 'ERR_INVALID_ARGUMENT');
  }
  add({ cache, meterProvider: open().meterProvider });
  registration.unregister();
  registration.unregister();
  const again = add({ cache, meterProvider });
  registration.unregister();
  expect((await collect()).value('holdfast.cache.sets')).toBe(0);
  // The SDK goes on naming what it collected last; the cache is looked at no more.
  again.unregister();
  await cache.set('a', 1);
  expect((await collect()).value('holdfast.cache.sets')).toBe(0);
});

test('one of several caches goes, and the others stay', async () => {
  const { meterProvider, collect } = open({ metricProducers: [metricProducer] });
  const caches = [makeCache(), makeCache()];
  const registrations = ['one', 'two'].map((name, at) => add({ cache: caches[at], name, meterProvider }));
  registrations[0].unregister();
  const { points } = await collect();
  for (const name of ['holdfast.cache.sets', 'holdfast.cache.compute.duration']) {
    expect(points(name).map(({ attributes }) => attributes['cache.name'])).toEqual(['two']);
  }
  const leave = jest.spyOn(meterProvider.getMeter('holdfast', version), 'removeBatchObservableCallback');
  registrations[1].unregister();
  expect(leave).toHaveBeenCalledTimes(1);
  const look = jest.spyOn(caches[1], 'getCounters');
  const { metric } = await collect();
  expect([metric('holdfast.cache.compute.duration'), metric('db.client.operation.duration')]).toEqual([
    undefined,
    undefined,
  ]);
  expect(look).not.toHaveBeenCalled();
});

test.each([[null], [[]], [{ cahce: {} }], [{ cache: {} }], [{ name: '' }], [{ name: 'a b' }], [{ connection: 7 }]])(
  'options that do not fit are a mistake: %j',
  (options) => {
    const { meterProvider } = open();
    const whole =
      options === null || Array.isArray(options) ? options : { cache: makeCache(), meterProvider, ...options };
    expectThrows(() => register(whole), 'ERR_INVALID_ARGUMENT');
  },
);

test('what is no provider is a mistake', () => {
  expectThrows(() => register({ cache: makeCache(), meterProvider: {} }), 'ERR_INVALID_ARGUMENT');
});

describe('beside a Redis with a password', () => {
  const server = serverForAll({ password: 'secret-of-this-test' });

  test('an outage is told, and nothing that is secret', async () => {
    const { meterProvider, collect } = open({ metricProducers: [metricProducer] });
    const cache = makeCache({ url: server.url(), timeoutMs: 250 });
    add({ cache, meterProvider });
    await untilMode(cache, 'redis');
    await cache.set('key-of-this-test', 1);
    await cache.get('key-of-this-test');
    try {
      await server.kill('SIGSTOP');
      await cache.get('another');
      await untilMode(cache, 'memory');
      const { metrics, value } = await collect();
      const modes = ['redis', 'memory'].map((mode) => value('holdfast.cache.mode', { 'cache.mode': mode }));
      expect(modes).toEqual([0, 1]);
      expect([value('holdfast.cache.degraded'), value('holdfast.outages')]).toEqual([1, 1]);
      expect(value('holdfast.errors', { 'error.type': 'timeout' })).toBeGreaterThan(0);
      const text = JSON.stringify(metrics);
      for (const secret of ['secret-of-this-test', 'key-of-this-test', `:${server.port}`, '127.0.0.1', 'redis:/']) {
        expect(text).not.toContain(secret);
      }
    } finally {
      await server.kill('SIGCONT');
    }
    await untilMode(cache, 'redis');
    const { value } = await collect();
    expect([value('holdfast.cache.degraded'), value('holdfast.outage.duration') > 0]).toEqual([0, true]);
  });
});
