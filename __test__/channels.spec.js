// The channels of node:diagnostics_channel: what their messages say, that they hold no value, and that subscribers
// change nothing for callers.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const { closeCaches, expectCode, freshNamespace, makeCache, openCache } = require('./support/holdfast');
const { serverForAll, startRedis } = require('./support/redis-server');
const { runForJson } = require('./support/run-script');
const { until, untilMode } = require('./support/until');

const server = serverForAll();
/** @type {(() => void)[]} */
const ends = [];
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await closeCaches();
});

const TRACED = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];

/** Everything that a channel tells from here on, of one namespace. */
function heard(name, namespace) {
  const messages = [];
  const take = (message) => {
    if (message.cache === namespace || message.caches?.includes(namespace)) messages.push(message);
  };
  diagnostics.subscribe(name, take);
  ends.push(() => diagnostics.unsubscribe(name, take));
  return messages;
}

/** All events of a TracingChannel, with copies of their messages as they were then. */
function traced(name, namespace) {
  const events = [];
  for (const event of TRACED) {
    const take = (message) => {
      if (message.cache === namespace) events.push([event, { ...message }]);
    };
    diagnostics.subscribe(`tracing:${name}:${event}`, take);
    ends.push(() => diagnostics.unsubscribe(`tracing:${name}:${event}`, take));
  }
  return events;
}

const names = (events) => events.map(([event]) => event);
const MS = expect.any(Number);

describe('holdfast:operation', () => {
  test('tells a call from its begin to its end, and never its value', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: server.url(), namespace, nearCache: false });
    await cache.set('k', 'a secret');
    const events = traced('holdfast:operation', namespace);
    expect(await cache.get('k')).toBe('a secret');
    expect(names(events)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(events[0][1]).toEqual({ operation: 'get', cache: namespace, key: 'k' });
    expect(events[3][1]).toEqual({ operation: 'get', cache: namespace, key: 'k', hits: 1, durationMs: MS });
    await cache.getMany(['k', 'none', 'k']);
    await cache.take('none');
    await cache.set('k', 'a secret');
    await cache.setMany([['a', 'a secret']]);
    await cache.delMany(['k', 'none']);
    await cache.invalidateTags('t');
    await cache.clear();
    const ended = events.filter(([event]) => event === 'asyncEnd').map(([, message]) => message);
    expect(ended.slice(1)).toEqual([
      { operation: 'getMany', cache: namespace, keys: 3, hits: 2, durationMs: MS },
      { operation: 'take', cache: namespace, key: 'none', hits: 0, durationMs: MS },
      { operation: 'set', cache: namespace, key: 'k', durationMs: MS },
      { operation: 'setMany', cache: namespace, keys: 1, durationMs: MS },
      { operation: 'delMany', cache: namespace, keys: 2, durationMs: MS },
      { operation: 'invalidateTags', cache: namespace, durationMs: MS },
      { operation: 'clear', cache: namespace, durationMs: MS },
    ]);
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  test('every function that gives a promise is told, but for those that are about the cache itself', () => {
    const cache = makeCache({ url: '', namespace: freshNamespace() });
    const untold = Object.keys(cache).filter((name) => cache[name].name.startsWith('bound '));
    expect(untold.sort()).toEqual(['close', 'getCounters', 'getMode', 'health', 'memoize', 'ready', 'scan']);
  });

  test('a hot hit is a call as well', async () => {
    const namespace = freshNamespace();
    const cache = makeCache({ url: server.url(), namespace });
    await cache.set('k', 1);
    for (let n = 0; n < 3; n++) await cache.get('k');
    const before = cache.getCounters().hits.hot;
    const events = traced('holdfast:operation', namespace);
    await cache.get('k');
    expect(cache.getCounters().hits.hot).toBe(before + 1);
    expect(names(events)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  });

  test('a call that rejects tells its error, and rejects with it', async () => {
    const namespace = freshNamespace();
    const cache = makeCache({ url: '', namespace });
    await cache.set('k', 1);
    const events = traced('holdfast:operation', namespace);
    const error = await cache.get('').catch((cause) => cause);
    expect(error.code).toBe('ERR_INVALID_KEY');
    expect(names(events)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
    expect(events[2][1].error).toBe(error);
  });

  test('arguments that throw where they are looked at reach the caller as without a subscriber', async () => {
    const namespace = freshNamespace();
    const cache = makeCache({ url: '', namespace });
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    const without = await cache.getMany(proxy).catch((cause) => cause);
    traced('holdfast:operation', namespace);
    expect(await cache.getMany(proxy).catch((cause) => cause)).toEqual(without);
    expect(without.code).toBe('ERR_INVALID_ARGUMENT');
  });

  test('a rejection that nobody handles is still one', async () => {
    const seen = await runForJson(`
      const { createCache } = require('holdfast');
      require('node:diagnostics_channel').subscribe('tracing:holdfast:operation:start', () => {});
      process.on('unhandledRejection', ({ code }) => console.log(JSON.stringify({ code })));
      createCache({ url: '', namespace: 'a' }).get('');
    `);
    expect(seen).toEqual({ code: 'ERR_INVALID_KEY' });
  });

  test('what a subscriber throws is an uncaught exception, and the call settles', async () => {
    const seen = await runForJson(`
      const { createCache } = require('holdfast');
      const cache = createCache({ url: '', namespace: 'a' });
      const diagnostics = require('node:diagnostics_channel');
      const uncaught = [];
      process.on('uncaughtException', ({ message }) => uncaught.push(message));
      for (const channel of ['operation', 'batch', 'compute'])
        for (const event of ['start', 'end', 'asyncStart', 'asyncEnd'])
          diagnostics.subscribe('tracing:holdfast:' + channel + ':' + event, () => {
            throw new Error(channel);
          });
      cache.getOrCompute('k', () => 7).then((value) => setImmediate(() => {
        console.log(JSON.stringify({ value, uncaught: [...new Set(uncaught)].sort() }));
      }));
    `);
    expect(seen).toEqual({ value: 7, uncaught: ['batch', 'compute', 'operation'] });
  });

  test('a message that a subscriber has frozen fails no call', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: server.url(), namespace, nearCache: false });
    await cache.set('k', 1);
    for (const name of ['operation', 'compute', 'batch']) {
      const channel = `tracing:holdfast:${name}:start`;
      diagnostics.subscribe(channel, Object.freeze);
      ends.push(() => diagnostics.unsubscribe(channel, Object.freeze));
    }
    expect(await cache.get('k')).toBe(1);
    expect(await cache.getMany(['k', 'none'])).toEqual([1, null]);
    expect(await cache.getOrCompute('n', () => 2)).toBe(2);
    await expectCode(() => cache.get(''), 'ERR_INVALID_KEY');
  });

  test('a store that is bound to the begin is there in what the call runs', async () => {
    const namespace = freshNamespace();
    const cache = makeCache({ url: '', namespace });
    const spans = new AsyncLocalStorage();
    const start = diagnostics.channel('tracing:holdfast:operation:start');
    const startOfRun = diagnostics.channel('tracing:holdfast:compute:start');
    start.bindStore(spans, ({ operation }) => operation);
    startOfRun.bindStore(spans, ({ keys }) => `${spans.getStore()} > compute ${keys}`);
    ends.push(
      () => start.unbindStore(spans),
      () => startOfRun.unbindStore(spans),
    );
    expect(await cache.getOrCompute('k', async () => spans.getStore())).toBe('getOrCompute > compute k');
    expect(spans.getStore()).toBeUndefined();
  });
});

describe.each(['thread', 'loop'])('holdfast:batch, io: %s', (io) => {
  test('is one for the calls of a turn, and says what the process answered by itself', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: server.url(), namespace, io });
    await cache.set('near', 1);
    await cache.get('near');
    const events = traced('holdfast:batch', namespace);
    await Promise.all([cache.get('a'), cache.get('b'), cache.ttl('near')]);
    expect(names(events)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(events[0][1]).toEqual({ cache: namespace, size: 3, atOnce: 0 });
    expect(events[3][1]).toEqual({ cache: namespace, size: 3, atOnce: 0, durationMs: MS });
  });

  test('calls that a subscriber makes go behind those that it hears of', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: server.url(), namespace, io, nearCache: false });
    let more = 3;
    const made = [];
    const call = ({ cache: name }) => {
      if (name === namespace && more-- > 0) made.push(cache.increment('n'), cache.set(`k${more}`, more));
    };
    diagnostics.subscribe('tracing:holdfast:batch:start', call);
    ends.push(() => diagnostics.unsubscribe('tracing:holdfast:batch:start', call));
    const values = await Promise.all(Array.from({ length: 600 }, (_, at) => cache.increment('n', at === 0 ? 1 : 0)));
    expect(new Set(values.slice(0, 256))).toEqual(new Set([1]));
    await until(() => more <= 0);
    await Promise.all(made);
    expect(await cache.get('n')).toBe(4);
    expect(await cache.getMany(['k0', 'k1', 'k2'])).toEqual([0, 1, 2]);
  });
});

test('a batch in memory mode begins and ends at once', async () => {
  const namespace = freshNamespace();
  const cache = makeCache({ url: '', namespace });
  await cache.set('k', 1);
  const events = traced('holdfast:batch', namespace);
  await Promise.all([cache.get('k'), cache.get('none')]);
  expect(events.at(-1)).toEqual(['asyncEnd', { cache: namespace, size: 2, atOnce: 2, durationMs: MS }]);
});

test('holdfast:compute tells each run of a function, with its keys, and a failed one with its error', async () => {
  const namespace = freshNamespace();
  const cache = makeCache({ url: '', namespace });
  const events = traced('holdfast:compute', namespace);
  await Promise.all([cache.getOrCompute('k', async () => 1), cache.getOrCompute('k', async () => 2)]);
  await cache.getOrCompute('k', () => 3);
  await cache.getOrComputeMany(['a', 'b'], (keys) => keys.map(() => 1));
  const cause = new Error('no');
  await cache.getOrCompute('bad', () => Promise.reject(cause)).catch(() => {});
  await cache
    .getOrCompute('worse', () => {
      throw cause;
    })
    .catch(() => {});
  const last = events.filter(([event]) => event === 'end' || event === 'asyncEnd');
  expect(last.map(([event, { keys }]) => `${event} ${keys}`)).toEqual([
    'end k',
    'asyncEnd k',
    'end a,b',
    'asyncEnd a,b',
    'end bad',
    'asyncEnd bad',
    'end worse',
  ]);
  const errors = events.filter(([event]) => event === 'error').map(([, message]) => message);
  expect(errors).toEqual([
    { cache: namespace, keys: ['bad'], durationMs: MS, error: cause },
    { cache: namespace, keys: ['worse'], durationMs: MS, error: cause },
  ]);
});

test('a thenable of the application is asked once, subscriber or not', async () => {
  const namespace = freshNamespace();
  const cache = makeCache({ url: '', namespace });
  traced('holdfast:compute', namespace);
  let asked = 0;
  const query = {
    // biome-ignore lint/suspicious/noThenProperty: it is what a query builder is.
    then(resolve) {
      asked++;
      resolve('rows');
    },
  };
  expect(await cache.getOrCompute('k', () => query)).toBe('rows');
  expect(asked).toBe(1);
});

test('holdfast:state tells an outage once for all caches of a connection', async () => {
  const own = await startRedis();
  const [a, b] = [freshNamespace(), freshNamespace()];
  const first = await openCache({ url: own.url(), namespace: a });
  await openCache({ url: own.url(), namespace: b });
  // The connection is up, which may be told a moment later.
  const all = heard('holdfast:state', a);
  const told = () => all.filter(({ event }) => event !== 'ready');
  await own.stop();
  await untilMode(first, 'memory');
  await until(() => told().length === 1);
  expect(told()[0]).toEqual({
    event: 'fallback',
    kind: expect.any(String),
    message: expect.any(String),
    caches: [a, b],
  });
  const again = await startRedis({ port: own.port });
  await untilMode(first, 'redis');
  await until(() => told().length === 2);
  expect(told()[1]).toMatchObject({ event: 'recovered', outageMs: MS, caches: [a, b] });
  await again.stop();
});

test('holdfast:invalidation tells what others changed, for a subscriber that came after the cache', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace });
  const messages = heard('holdfast:invalidation', namespace);
  await cache.set('k', 1);
  await cache.get('k');
  await cache.get('none');
  await server.cli('set', `${namespace}:k`, '2');
  await until(() => messages.length > 0);
  expect(messages).toEqual([{ cache: namespace, keys: ['k'], tags: [] }]);
});

test('what a subscriber does to its lists, no listener of invalidate sees', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace });
  const empty = ({ cache: name, keys }) => name === namespace && keys.splice(0);
  diagnostics.subscribe('holdfast:invalidation', empty);
  ends.push(() => diagnostics.unsubscribe('holdfast:invalidation', empty));
  const listened = [];
  cache.on('invalidate', (keys) => listened.push(keys));
  await cache.set('k', 1);
  await cache.get('k');
  await server.cli('set', `${namespace}:k`, '2');
  await until(() => listened.length > 0);
  expect(listened).toEqual([['k']]);
});

test('holdfast:eviction tells how many entries the memory bound pushed out', async () => {
  const told = await runForJson(`
    const { createCache } = require('holdfast');
    const cache = createCache({ url: '', namespace: 'a', maxMemory: '1mb' });
    let count = 0;
    require('node:diagnostics_channel').subscribe('holdfast:eviction', (message) => { count += message.count; });
    (async () => {
      await cache.set('first', 1);
      for (let n = 0; n < 4000; n++) await cache.set('k' + n, 'x'.repeat(1000));
      console.log(JSON.stringify({ count, evictions: cache.getCounters().evictions }));
    })();
  `);
  expect(told.count).toBeGreaterThan(1000);
  expect(told.count).toBe(told.evictions);
});

test('and tells each of them once, whichever cache of the connection is used', async () => {
  const told = await runForJson(`
    const { createCache } = require('holdfast');
    const caches = ['a', 'b'].map((namespace) => createCache({ url: '', namespace, maxMemory: '1mb' }));
    let count = 0;
    require('node:diagnostics_channel').subscribe('holdfast:eviction', (message) => { count += message.count; });
    (async () => {
      for (const cache of caches) await cache.set('first', 1);
      for (let n = 0; n < 4000; n++) await caches[n % 2].set('k' + n, 'x'.repeat(1000));
      console.log(JSON.stringify({ count, evictions: caches.at(-1).getCounters().evictions }));
    })();
  `);
  expect(told.count).toBeGreaterThan(1000);
  expect(told.count).toBe(told.evictions);
});
