// The rules that unstorage has for its drivers, whose own suite is in no package, by the real unstorage, in both modes.
'use strict';

const { createStorage, prefixStorage, restoreSnapshot, snapshot } = require('unstorage');
const { holdfastDriver } = require('holdfast/unstorage');
const { freshNamespace } = require('../../support/holdfast');
const { until } = require('../../support/until');
const { describeModes } = require('../support/modes');

describeModes('unstorage', ({ options }) => {
  const storages = [];
  const makeDriver = (more = {}) => holdfastDriver({ ...options(), base: freshNamespace(), ...more });
  const makeStorage = (more) => {
    const driver = makeDriver(more);
    const storage = createStorage({ driver });
    storages.push(storage);
    return { storage, driver, cache: driver.getInstance() };
  };
  afterEach(async () => {
    for (const storage of storages.splice(0)) {
      await storage.clear().catch(() => {});
      await storage.dispose();
    }
  });

  test('what is missing is null, and is not there', async () => {
    const { storage } = makeStorage();
    expect(await storage.getItem('missing')).toBeNull();
    expect(await storage.getItemRaw('missing')).toBeNull();
    expect(await storage.hasItem('missing')).toBe(false);
    await storage.removeItem('missing');
  });

  test.each([
    ['a text', 'naïve ☃'],
    ['a number', 7],
    ['zero', 0],
    ['false', false],
    ['true', true],
    ['an object', { a: [1, { b: null }] }],
    ['an array', [1, 'two']],
  ])('%s comes back', async (_, value) => {
    const { storage } = makeStorage();
    await storage.setItem('key', value);
    expect(await storage.getItem('key')).toEqual(value);
    expect(await storage.hasItem('key')).toBe(true);
  });

  test('undefined removes, and what is removed is gone', async () => {
    const { storage } = makeStorage();
    await storage.setItem('a', 1);
    await storage.setItem('a', undefined);
    expect(await storage.hasItem('a')).toBe(false);
    await storage.setItem('b', 1);
    await storage.removeItem('b');
    expect(await storage.getItem('b')).toBeNull();
  });

  test('keys are listed and cleared by their base, whatever stands in it', async () => {
    const { storage, driver } = makeStorage();
    const keys = ['s1:a', 's2:a', 's1:b:c', 's1x:a', 'x*y:a', 'xzy:a'];
    await storage.setItems(keys.map((key) => ({ key, value: key })));
    expect((await storage.getKeys()).sort()).toEqual([...keys].sort());
    expect((await storage.getKeys('s1')).sort()).toEqual(['s1:a', 's1:b:c']);
    expect(await storage.getKeys('x*y')).toEqual(['x*y:a']);
    expect(await storage.getKeys('', { maxDepth: 1 })).not.toContain('s1:b:c');
    // unstorage itself clears whole mounts alone.
    await driver.clear('x*y:');
    await driver.clear('s1');
    expect((await storage.getKeys()).sort()).toEqual(['s1x:a', 's2:a', 'xzy:a']);
    await storage.clear();
    expect(await storage.getKeys()).toEqual([]);
  });

  test('two storages with bases of their own keep apart', async () => {
    const [one, two] = [makeStorage({ base: 'keep:one' }), makeStorage({ base: 'keep:one*' })];
    await one.storage.setItem('a', 1);
    await two.storage.setItem('a', 2);
    expect(await one.storage.getKeys()).toEqual(['a']);
    await two.storage.clear();
    expect([await one.storage.getItem('a'), await two.storage.getItem('a')]).toEqual([1, null]);
  });

  test('many items are read and stored in one call, in their order, at mounts too', async () => {
    const { storage } = makeStorage();
    storage.mount('mounted', makeDriver());
    await storage.setItems(
      [
        { key: 'a', value: 1 },
        { key: 'mounted:b', value: { c: 2 } },
      ],
      {},
    );
    expect(await storage.getItems(['a', 'x'])).toEqual([
      { key: 'a', value: 1 },
      { key: 'x', value: null },
    ]);
    expect(await storage.getItems(['mounted:b'])).toEqual([{ key: 'mounted:b', value: { c: 2 } }]);
    expect((await storage.getKeys()).sort()).toEqual(['a', 'mounted:b']);
    await storage.clear('mounted');
  });

  test.each([
    ['a Buffer', Buffer.from([0, 255, 254, 1])],
    ['a typed array', new Uint8Array([255, 0, 7])],
    ['an ArrayBuffer', new Uint8Array([254, 0, 7]).buffer],
    ['a text', 'naïve ☃'],
  ])('%s is stored as its bytes', async (_, value) => {
    const { storage } = makeStorage();
    await storage.setItemRaw('bytes', value);
    const found = await storage.getItemRaw('bytes');
    expect(Buffer.from(found)).toEqual(Buffer.from(value));
  });

  test('bytes that are none are refused, and what was stored stays', async () => {
    const { storage } = makeStorage();
    await storage.setItem('a', 'old');
    await expect(storage.setItemRaw('a', { b: 1 })).rejects.toMatchObject({ code: 'ERR_UNSERIALIZABLE' });
    expect(await storage.getItem('a')).toBe('old');
  });

  test('a time to live is in seconds: of the item, of the driver, and never beyond maxTtl', async () => {
    const { storage } = makeStorage({ ttl: 300, maxTtl: 600 });
    const left = async (key) => (await storage.getMeta(key)).ttl;
    await storage.setItem('own', 1, { ttl: 60 });
    await storage.setItem('driver', 1);
    await storage.setItem('zero', 1, { ttl: 0 });
    await storage.setItem('long', 1, { ttl: 9_999 });
    await storage.setItems([{ key: 'many', value: 1, options: { ttl: 60 } }]);
    expect(await left('own')).toBeLessThanOrEqual(60);
    expect(await left('many')).toBeLessThanOrEqual(60);
    for (const key of ['driver', 'zero']) {
      expect(await left(key)).toBeGreaterThan(60);
      expect(await left(key)).toBeLessThanOrEqual(300);
    }
    expect(await left('long')).toBeGreaterThan(300);
    expect(await left('long')).toBeLessThanOrEqual(600);
  });

  test('all that a Nitro configuration says of a mount is taken, as JSON', async () => {
    const mount = { driver: 'holdfast/unstorage', ttl: Number.POSITIVE_INFINITY, maxTtl: Number.POSITIVE_INFINITY };
    const { storage, driver } = makeStorage(JSON.parse(JSON.stringify(mount)));
    await storage.setItem('kept', 1);
    expect(await storage.getItem('kept')).toBe(1);
    expect(await storage.getMeta('kept', { nativeOnly: true })).toEqual({});
    expect(driver.options).toMatchObject({ ttl: Infinity, maxTtl: Infinity });
  });

  test('without a time to live an item stays, and with a short one it ends', async () => {
    const { storage, cache, driver } = makeStorage();
    await storage.setItem('kept', 1);
    expect(await storage.getMeta('kept', { nativeOnly: true })).toEqual({});
    expect(await cache.ttl(`${driver.options.base}:kept`)).toBe(Infinity);
    await storage.setItem('short', 1, { ttl: 0.2 });
    await until(async () => (await storage.getItem('short')) === null, 'it is over');
  });

  test('what unstorage knows of an item is stored beside it, and removed with it', async () => {
    const { storage } = makeStorage();
    await storage.setItem('a', 1);
    await storage.setMeta('a', { mtime: new Date(0), tag: 'x' });
    expect(await storage.getMeta('a')).toMatchObject({ tag: 'x', mtime: new Date(0) });
    expect(await storage.getKeys()).toEqual(['a']);
    await storage.removeItem('a', { removeMeta: true });
    expect(await storage.getMeta('a')).toEqual({});
  });

  test('a snapshot and its restoring', async () => {
    const { storage } = makeStorage();
    await restoreSnapshot(storage, { a: '1', 'b:c': '2' }, 'snap');
    expect(await snapshot(storage, 'snap')).toEqual({ a: 1, 'b:c': 2 });
    expect(await prefixStorage(storage, 'snap').getItem('b:c')).toBe(2);
  });

  test('the functions of the driver need no `this`, and its options show no URL', async () => {
    const driver = makeDriver();
    const { setItem, getItem, getKeys, clear, dispose } = driver;
    await setItem('a', 'text');
    expect([await getItem('a'), await getKeys('')]).toEqual(['text', ['a']]);
    expect(Object.keys(driver.options)).toEqual(['base', 'ttl', 'maxTtl']);
    await clear('');
    await dispose();
    await expect(getItem('a')).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});
