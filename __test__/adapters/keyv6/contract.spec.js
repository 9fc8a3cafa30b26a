// The contract of Keyv 6, whose own suite is in no package: its rules one by one, by the store alone and beneath the
// real Keyv, in both modes.
'use strict';

const { Keyv, keyvStorageCapability } = require('keyv6');
const { KeyvHoldfast } = require('holdfast/keyv6');
const { describeModes } = require('../support/modes');
const { freshNamespace } = require('../../support/holdfast');
const { until } = require('../../support/until');

const HOUR_MS = 3_600_000;

describeModes('Keyv 6', ({ options }) => {
  const stores = [];
  const makeStore = (more = {}) => {
    const store = new KeyvHoldfast({ ...options(), namespace: freshNamespace(), ...more });
    stores.push(store);
    return store;
  };
  const makeKeyv = (settings = {}) => {
    const keyv = new Keyv({ store: makeStore(), namespace: 'ns', ...settings });
    keyv.on('error', (error) => {
      throw error;
    });
    return keyv;
  };
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.disconnect()));
  });
  const collect = async (iterator) => {
    const found = [];
    for await (const entry of iterator) found.push(entry);
    return found.sort(([a], [b]) => a.localeCompare(b));
  };

  test('it declares what Keyv itself finds, and is used directly, without the bridge for older adapters', () => {
    const store = makeStore();
    const { methods, ...found } = keyvStorageCapability(store);
    const { methods: declared, ...said } = store.capabilities;
    expect(said).toEqual(found);
    const exist = (all) => Object.entries(all).map(([name, { exists }]) => [name, exists]);
    expect(exist(declared)).toEqual(exist(methods));
    expect(new Keyv({ store }).store).toBe(store);
  });

  test('the namespace is undefined at first, and can be set', () => {
    const store = makeStore();
    expect(store.namespace).toBeUndefined();
    store.namespace = 'a';
    expect(store.namespace).toBe('a');
  });

  test('values of all kinds come back, and a key that is missing is undefined', async () => {
    const keyv = makeKeyv();
    const values = {
      text: 'naïve ☃',
      empty: '',
      zero: 0,
      no: false,
      nothing: null,
      list: [1, [2]],
      bytes: Buffer.from([0, 255]),
    };
    for (const [key, value] of Object.entries(values)) expect(await keyv.set(key, value)).toBe(true);
    for (const [key, value] of Object.entries(values)) expect(await keyv.get(key)).toEqual(value);
    expect(await keyv.set('big', 10n)).toBe(true);
    expect(await keyv.get('big')).toBe(10n);
    expect(await keyv.get('missing')).toBeUndefined();
  });

  test('an expiry is a moment: one to come, none, and one that has passed', async () => {
    const store = makeStore();
    expect(await store.set('later', 'a', Date.now() + HOUR_MS)).toBe(true);
    const left = await store.cache.ttl('later');
    expect(left).toBeGreaterThan(1_800);
    expect(left).toBeLessThanOrEqual(3_600);
    await store.set('kept', 'a');
    expect(await store.cache.ttl('kept')).toBe(Infinity);
    await store.set('over', 'a');
    expect(await store.set('over', 'b', Date.now() - 1)).toBe(true);
    expect([await store.get('over'), await store.has('over')]).toEqual([undefined, false]);
    expect(await store.setMany([{ key: 'kept', value: 'b', expires: 1 }])).toEqual([true]);
    expect(await store.get('kept')).toBeUndefined();
  });

  test('what lives for a fraction of a second is gone after it', async () => {
    const store = makeStore();
    await store.set('short', 'a', Date.now() + 300);
    await until(async () => (await store.get('short')) === undefined, 'it is over');
    expect(await store.has('short')).toBe(false);
  });

  test('a time to live of Keyv, its own and one of the call, becomes a moment', async () => {
    const keyv = makeKeyv({ ttl: HOUR_MS });
    await keyv.set('own', 1);
    await keyv.set('call', 1, 2 * HOUR_MS);
    const [own, call] = [await keyv.store.cache.ttl('ns::own'), await keyv.store.cache.ttl('ns::call')];
    expect(own).toBeLessThanOrEqual(3_600);
    expect(call).toBeGreaterThan(3_600);
    expect((await keyv.getRaw('own')).expires).toBeGreaterThan(Date.now());
  });

  test('many keys: values, presence and deletions come one for each, in their order', async () => {
    const store = makeStore();
    store.namespace = 'ns';
    const entries = ['a', 'b', 'c'].map((key) => ({ key, value: `${key}1` }));
    expect(await store.setMany(entries)).toEqual([true, true, true]);
    expect(await store.getMany(['c', 'x', 'a'])).toEqual(['c1', undefined, 'a1']);
    expect(await store.hasMany(['x', 'b'])).toEqual([false, true]);
    expect(await store.deleteMany(['a', 'x', 'b'])).toEqual([true, false, true]);
    expect([await store.delete('c'), await store.delete('c')]).toEqual([true, false]);
    for (const name of ['getMany', 'hasMany', 'deleteMany', 'setMany']) expect(await store[name]([])).toEqual([]);
  });

  test('the same through Keyv', async () => {
    const keyv = makeKeyv();
    expect(
      await keyv.setMany([
        { key: 'a', value: 1 },
        { key: 'b', value: 2, ttl: HOUR_MS },
      ]),
    ).toEqual([true, true]);
    expect(await keyv.get(['a', 'x', 'b'])).toEqual([1, undefined, 2]);
    expect(await keyv.has(['a', 'x'])).toEqual([true, false]);
    expect(await keyv.delete(['a', 'x'])).toEqual([true, false]);
  });

  test('namespaces of one cache keep apart, and clear removes the keys of its own', async () => {
    const shared = { namespace: freshNamespace() };
    const [one, like, none] = ['a', 'a*', undefined].map((namespace) => {
      const store = makeStore(shared);
      store.namespace = namespace;
      return store;
    });
    for (const [store, value] of [
      [one, '1'],
      [like, '2'],
      [none, '3'],
    ])
      await store.set('x', value);
    expect(await one.cache.get('a::x')).toBe('1');
    await like.clear();
    expect([await one.get('x'), await like.get('x'), await none.get('x')]).toEqual(['1', undefined, '3']);
    await none.clear();
    expect([await one.get('x'), await none.get('x')]).toEqual(['1', undefined]);
    await one.clear();
    expect(await one.get('x')).toBeUndefined();
  });

  test('clear without any namespace removes nothing, in memory mode too', async () => {
    const store = makeStore({ namespace: '' });
    const key = `raw-${freshNamespace()}`;
    await store.set(key, 'kept', Date.now() + HOUR_MS);
    await expect(store.clear()).rejects.toMatchObject({ code: 'ERR_CLEAR_NEEDS_NAMESPACE' });
    expect(await store.get(key)).toBe('kept');
    await store.delete(key);
  });

  test('the iterator gives keys without their namespace, and those of no other', async () => {
    const shared = { namespace: freshNamespace() };
    const [one, two] = ['one', 'two'].map((namespace) => new Keyv({ store: makeStore(shared), namespace }));
    const none = makeStore(shared);
    await one.set('a', 1);
    await one.set('b', { c: 2 });
    await two.set('a', 3);
    await none.set('plain', 'text');
    expect(await collect(one.iterator())).toEqual([
      ['a', 1],
      ['b', { c: 2 }],
    ]);
    expect(await collect(two.iterator())).toEqual([['a', 3]]);
    expect(await collect(none.iterator())).toEqual([['plain', 'text']]);
  });

  test('an entry that is too large is told apart from those beside it', async () => {
    const store = makeStore({ maxValueBytes: 1_024 });
    const keyv = new Keyv({ store, namespace: 'ns' });
    const errors = [];
    keyv.on('error', (error) => errors.push(error));
    await keyv.set('b', 'old');
    const large = 'x'.repeat(2_000);
    expect(
      await keyv.setMany([
        { key: 'a', value: 1 },
        { key: 'b', value: large },
      ]),
    ).toEqual([true, false]);
    expect(await keyv.set('b', large)).toBe(false);
    expect(errors.map(({ code }) => code)).toEqual(['ERR_VALUE_TOO_LARGE', 'ERR_VALUE_TOO_LARGE']);
    expect(await keyv.get(['a', 'b'])).toEqual([1, 'old']);
  });

  test('objects that Keyv does not serialise are refused, and the stored value stays', async () => {
    const keyv = new Keyv({ store: makeStore(), serialization: false });
    const errors = [];
    keyv.on('error', (error) => errors.push(error));
    expect(await keyv.set('a', { b: 1 })).toBe(false);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_UNSERIALIZABLE' })]);
  });
});
