// The adapters whose frameworks hand over texts: what lies in Redis is the text itself, so entries of a cache of codec
// `raw`, as these adapters once had, and of any other client, are read as before; and short texts are hot values.
'use strict';

const { promisify } = require('node:util');
const session = require('express-session');
const { Keyv } = require('keyv');
const { Keyv: Keyv6 } = require('keyv6');
const { holdfastDriver } = require('holdfast/bentocache');
const { KeyvHoldfast } = require('holdfast/keyv');
const { KeyvHoldfast: KeyvHoldfast6 } = require('holdfast/keyv6');
const { sessionStore } = require('holdfast/session');
const { closeCaches, openCache, silent } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { connected } = require('../support/modes');

const server = serverForAll();
const options = () => ({ url: server.url(), timeoutMs: 5_000, logger: silent() });
const SESSION = { cookie: { originalMaxAge: null, expires: null }, user: 'naïve ☃' };
/** Longer than what crosses the bridge within a message. */
const LONG = 'naïve ☃ '.repeat(2_000);

const wrapped = (value) => JSON.stringify({ value });
const isSame = (found, value) => JSON.stringify(found) === JSON.stringify(value);

/** Each adapter as its framework uses it: `cache` beneath, `name` of the entry in Redis, `wrapped(value)` its text. */
const ADAPTERS = {
  'holdfast/keyv'() {
    const store = new KeyvHoldfast(options());
    const keyv = new Keyv({ store, namespace: 'ns' });
    const [get, set] = [() => keyv.get('k'), (value) => keyv.set('k', value)];
    return { cache: store.cache, name: 'ns:k', get, set, wrapped };
  },
  'holdfast/keyv6'() {
    const store = new KeyvHoldfast6(options());
    const keyv = new Keyv6({ store, namespace: 'ns' });
    const [get, set] = [() => keyv.get('k'), (value) => keyv.set('k', value)];
    return { cache: store.cache, name: 'ns::k', get, set, wrapped };
  },
  'holdfast/bentocache'() {
    const driver = holdfastDriver(options()).factory({ prefix: 'bento' });
    return { cache: driver.cache, name: 'bento:k', get: () => driver.get('k'), set: (value) => driver.set('k', value) };
  },
  'holdfast/session'() {
    const store = sessionStore(session, options());
    const [get, set] = [store.get, store.set].map((fn) => promisify(fn).bind(store, 'k'));
    return { cache: store.cache, name: 'sess:k', get, set, values: [SESSION], wrapped: JSON.stringify };
  },
};

beforeEach(() => server.cli('flushall'));
afterEach(closeCaches);

describe.each(Object.entries(ADAPTERS))('%s', (_name, open) => {
  let adapter;
  let raw;
  beforeEach(async () => {
    adapter = { values: ['naïve ☃', LONG], wrapped: (text) => text, ...open() };
    await connected(adapter.cache);
    raw = await openCache({ url: server.url(), namespace: '', codec: 'raw' });
  });
  afterEach(() => adapter.cache.close());

  test('what it stores are the bytes of the text, as a cache of codec raw stores them', async () => {
    for (const value of adapter.values) {
      await adapter.set(value);
      expect(await raw.get(adapter.name)).toEqual(Buffer.from(adapter.wrapped(value)));
    }
  });

  test('what a cache of codec raw stored there is read, from Redis and from the process', async () => {
    for (const value of adapter.values) {
      await raw.set(adapter.name, adapter.wrapped(value));
      await until(async () => isSame(await adapter.get(), value), 'the new text is read');
      for (let i = 0; i < 12; i++) expect(await adapter.get()).toEqual(value);
    }
    expect((await adapter.cache.getStats()).decodeErrors).toBe(0);
  });

  test('a short text that is read often is a hot value, and no older one than Redis has', async () => {
    const [value] = adapter.values;
    await adapter.set(value);
    await until(async () => {
      expect(await adapter.get()).toEqual(value);
      return (await adapter.cache.getStats()).hits.hot > 0;
    }, 'it is read from JavaScript');
    await server.cli('del', adapter.name);
    await until(async () => !(await adapter.get()), 'its end is seen');
  });
});
