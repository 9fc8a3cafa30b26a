// The spans of OpenTelemetry that a cache's computations, batches and calls become: what they say, whose children they
// are, and that there are none before `trace` and behind `stop`.
'use strict';

const api = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const diagnostics = require('node:diagnostics_channel');
const { trace } = require('holdfast/otel');
const { version } = require('../../../package.json');
const { closeCaches, expectThrows, freshNamespace, makeCache, stored } = require('../../support/holdfast');
const { until } = require('../../support/until');
const { connected, describeModes } = require('../support/modes');

const ended = [];
beforeAll(() => api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => api.context.disable());
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
  await closeCaches();
});

/** A provider of its own; `spans()` gives what has ended, and `within` runs something in a span of the application. */
function open(options = {}) {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = trace({ tracerProvider, ...options });
  ended.push(
    () => tracing.stop(),
    () => tracerProvider.shutdown(),
  );
  const tracer = tracerProvider.getTracer('application');
  const within = (name, act) =>
    tracer.startActiveSpan(name, async (span) => {
      try {
        return await act(span);
      } finally {
        span.end();
      }
    });
  const spans = () => exporter.getFinishedSpans();
  const named = (name) => spans().filter((span) => span.name === name);
  return { tracing, tracer, spans, named, within };
}

const idOf = (span) => span.spanContext().spanId;
const parentOf = (span) => span.parentSpanContext?.spanId;

describeModes('a computation', ({ options }) => {
  let cache, namespace;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = makeCache({ ...options(), namespace });
    await cache.ready();
  });

  test('is a span within that of its caller, and what it calls is within it', async () => {
    const { tracer, named, within } = open();
    const tenant = api.createContextKey('tenant');
    const seen = [];
    const value = await within('request', () =>
      api.context.with(api.context.active().setValue(tenant, 'shop'), () =>
        cache.getOrCompute('k', async () => {
          seen.push(idOf(api.trace.getActiveSpan()), api.context.active().getValue(tenant));
          await new Promise(setImmediate);
          tracer.startSpan('query').end();
          return 7;
        }),
      ),
    );
    expect(value).toBe(7);
    const [[request], [compute], [query]] = ['request', `compute ${namespace}`, 'query'].map(named);
    expect([parentOf(query), parentOf(compute), parentOf(request)]).toEqual([idOf(compute), idOf(request), undefined]);
    expect(seen).toEqual([idOf(compute), 'shop']);
    expect(compute.kind).toBe(api.SpanKind.INTERNAL);
    expect(compute.attributes).toEqual({ 'holdfast.namespace': namespace, 'holdfast.key.count': 1 });
    expect(compute.status).toEqual({ code: api.SpanStatusCode.UNSET });
    expect(compute.instrumentationScope).toMatchObject({ name: 'holdfast', version });
    expect(api.trace.getActiveSpan()).toBeUndefined();
  });

  test('of callers at the same time is within that of each function', async () => {
    const { named, within } = open();
    const names = ['a', 'b', 'c'];
    await Promise.all(names.map((name) => within(name, () => cache.getOrCompute(name, async () => name))));
    const parents = names.map((name) => idOf(named(name)[0]));
    expect(named(`compute ${namespace}`).map(parentOf).sort()).toEqual(parents.sort());
  });

  test('that is shared is one span, and one for many keys has their number', async () => {
    const { named } = open();
    await Promise.all([1, 2].map(() => cache.getOrCompute('k', async () => 1)));
    await cache.getOrComputeMany(['a', 'b'], (keys) => keys.map(() => 1));
    const counts = named(`compute ${namespace}`).map(({ attributes }) => attributes['holdfast.key.count']);
    expect(counts).toEqual([1, 2]);
  });

  test.each([
    ['rejects', () => Promise.reject(new TypeError('no such row'))],
    [
      'throws',
      () => {
        throw new TypeError('no such row');
      },
    ],
  ])('that %s tells the kind of the error and its message, and no stack', async (_, fn) => {
    const { named } = open();
    await expect(cache.getOrCompute('k', fn)).rejects.toThrow('no such row');
    const [span, ...more] = named(`compute ${namespace}`);
    expect(more).toEqual([]);
    expect(span.attributes['error.type']).toBe('TypeError');
    expect(span.status).toEqual({ code: api.SpanStatusCode.ERROR, message: 'no such row' });
    expect(span.events.map(({ name, attributes }) => [name, attributes])).toEqual([
      ['exception', { 'exception.type': 'TypeError', 'exception.message': 'no such row' }],
    ]);
  });

  test.each([
    ['a text', 'some text', '_OTHER', undefined],
    ['nothing', undefined, '_OTHER', undefined],
    ['an error with a code', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED', 'refused'],
  ])('that throws %s is a failed span, and the caller gets what was thrown', async (_, thrown, type, message) => {
    const { named } = open();
    const call = cache.getOrCompute('k', () => Promise.reject(thrown));
    expect(await call.catch((error) => ({ error }))).toEqual({ error: thrown });
    const [span] = named(`compute ${namespace}`);
    expect(span.attributes['error.type']).toBe(type);
    expect([span.status.code, span.status.message]).toEqual([api.SpanStatusCode.ERROR, message]);
  });

  test('that throws what refuses to be read reaches the caller', async () => {
    const { named } = open();
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const call = cache.getOrCompute('k', () => {
      throw proxy;
    });
    expect(await call.catch((error) => error === proxy)).toBe(true);
    expect(named(`compute ${namespace}`)[0].attributes['error.type']).toBe('_OTHER');
  });

  test('has neither key nor value, and its keys where they are asked for', async () => {
    const first = open({ operations: true });
    await cache.getOrCompute('key-of-this-test', async () => 'value-of-this-test');
    await cache.get('key-of-this-test');
    await stored(cache);
    const text = JSON.stringify(first.spans().map(({ name, attributes, events }) => [name, attributes, events]));
    expect(text).not.toMatch(/(key|value)-of-this-test|redis:|127\.0\.0\.1/);
    first.tracing.stop();
    const { named } = open({ operations: true, keys: true });
    await cache.getOrComputeMany(['a', 'b'], (keys) => keys.map(() => 1));
    await cache.get('a');
    const keys = ['compute', 'get'].map((each) => named(`${each} ${namespace}`)[0].attributes['holdfast.keys']);
    expect(keys).toEqual([['a', 'b'], ['a']]);
  });

  test('calls are spans where they are asked for, and computations are within them', async () => {
    const { named, within } = open({ operations: true });
    await within('request', () => cache.getOrCompute('k', async () => 1));
    await cache.getMany(['k', 'none']);
    await cache.get('').catch(() => {});
    const [request] = named('request');
    const [call] = named(`getOrCompute ${namespace}`);
    const [compute] = named(`compute ${namespace}`);
    expect([parentOf(call), parentOf(compute)]).toEqual([idOf(request), idOf(call)]);
    const [many] = named(`getMany ${namespace}`);
    expect(many.kind).toBe(api.SpanKind.INTERNAL);
    const counts = { 'holdfast.key.count': 2, 'holdfast.hits': 1 };
    expect(many.attributes).toEqual({ 'holdfast.namespace': namespace, ...counts });
    expect(named(`get ${namespace}`)[0].attributes['error.type']).toBe('ERR_INVALID_KEY');
  });
});

describeModes('a batch', ({ options, isShared }) => {
  test('that asks Redis is a span of a client, and one that does not is none', async () => {
    const namespace = freshNamespace();
    const cache = makeCache({ ...options(), namespace, nearCache: false });
    if (isShared) await connected(cache);
    await new Promise(setImmediate); // so that nobody who was woken by the connection calls on
    const { named, spans, within } = open();
    await within('request', () => Promise.all([cache.get('a'), cache.get('b')]));
    await within('another', () => cache.get('a'));
    if (!isShared) {
      expect(spans().map(({ name }) => name)).toEqual(['request', 'another']);
      return;
    }
    const batches = named(`PIPELINE ${namespace}`);
    const attributes = { 'db.system.name': 'redis', 'db.operation.name': 'PIPELINE', 'holdfast.namespace': namespace };
    expect(batches.map((span) => [span.kind, span.attributes])).toEqual([
      [api.SpanKind.CLIENT, { ...attributes, 'db.operation.batch.size': 2 }],
      [api.SpanKind.CLIENT, attributes],
    ]);
    expect(batches.map(parentOf)).toEqual(['request', 'another'].map((name) => idOf(named(name)[0])));
  });
});

test('a cache without a namespace has names without one', async () => {
  const { named } = open({ operations: true });
  await makeCache({ url: '', namespace: '' }).getOrCompute('k', () => 1);
  expect([named('compute').length, named('getOrCompute').length]).toEqual([1, 1]);
});

const watched = () =>
  ['compute', 'batch', 'operation'].filter((name) =>
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].some((event) =>
      diagnostics.hasSubscribers(`tracing:holdfast:${name}:${event}`),
    ),
  );

test('nothing is subscribed to before trace, nor after stop, and calls only where they are asked for', async () => {
  expect(watched()).toEqual([]);
  const first = open();
  expect(watched()).toEqual(['compute', 'batch']);
  first.tracing.stop();
  expect(watched()).toEqual([]);
  const second = open({ operations: true });
  expect(watched()).toEqual(['compute', 'batch', 'operation']);
  // The first has no say any more.
  first.tracing.stop();
  expect(watched()).toEqual(['compute', 'batch', 'operation']);
  expectThrows(() => trace(), 'ERR_INVALID_ARGUMENT');
  second.tracing.stop();
  const cache = makeCache({ url: '' });
  await cache.getOrCompute('k', () => 1);
  expect([...first.spans(), ...second.spans()]).toEqual([]);
});

test('what is under way at stop has no span, and settles', async () => {
  const { tracing, spans } = open();
  const cache = makeCache({ url: '' });
  let finish;
  const call = cache.getOrCompute('k', () => new Promise((resolve) => (finish = resolve)));
  await until(() => finish !== undefined, 'the function runs');
  tracing.stop();
  finish(7);
  expect(await call).toBe(7);
  expect(spans()).toEqual([]);
});

test('by default the spans go to the global provider, also where it is set later', async () => {
  const tracing = trace();
  ended.push(() => tracing.stop());
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  api.trace.setGlobalTracerProvider(provider);
  ended.push(() => api.trace.disable());
  const namespace = freshNamespace();
  await makeCache({ url: '', namespace }).getOrCompute('k', () => 1);
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual([`compute ${namespace}`]);
});

test('without a context manager there are spans, each by itself', async () => {
  api.context.disable();
  try {
    const { named } = open({ operations: true });
    const namespace = freshNamespace();
    expect(await makeCache({ url: '', namespace }).getOrCompute('k', () => 1)).toBe(1);
    const spans = ['compute', 'getOrCompute'].flatMap((each) => named(`${each} ${namespace}`));
    expect(spans.map(parentOf)).toEqual([undefined, undefined]);
  } finally {
    api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  }
});

test.each([[null], [[]], [{ key: true }], [{ keys: 1 }], [{ operations: 'yes' }], [{ tracerProvider: {} }]])(
  'options that do not fit are a mistake: %j',
  (options) => {
    expectThrows(() => trace(options), 'ERR_INVALID_ARGUMENT');
    expect(watched()).toEqual([]);
  },
);
