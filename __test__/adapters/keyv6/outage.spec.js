// Keyv 6 over a Redis that goes away, and over one that refuses: no call fails or hangs, no error is thrown back at the
// process. And the example.
'use strict';

const { Keyv } = require('keyv6');
const { KeyvHoldfast } = require('holdfast/keyv6');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { until, untilMode } = require('../../support/until');
const { connected } = require('../support/modes');
const { servesThroughOutage } = require('../support/example');

const server = serverForAll();
const stores = [];
const makeStore = (options = {}) => {
  const store = new KeyvHoldfast({ url: server.url(), logger: silent(), ...options });
  stores.push(store);
  return store;
};
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.disconnect()));
});

test('while Redis is away nothing fails or hangs, and what was deleted meanwhile stays deleted', async () => {
  const store = makeStore();
  await connected(store.cache);
  const keyv = new Keyv({ store, namespace: 'out' }); // without a listener an error would be thrown at the caller
  await keyv.set('old', 1);
  await server.kill('SIGSTOP');
  expect(await keyv.set('new', 2)).toBe(true);
  expect(await keyv.get('new')).toBe(2);
  await keyv.delete('old');
  expect(await keyv.get('old')).toBeUndefined();
  await untilMode(store.cache, 'memory');
  await server.kill('SIGCONT');
  await untilMode(store.cache, 'redis');
  expect(await keyv.get('old')).toBeUndefined();
  expect(await server.cli('exists', 'out::old')).toBe('0');
});

test('an error of the cache reaches the listeners of Keyv, and is thrown at nobody where there are none', async () => {
  await server.cli('acl', 'setuser', 'small', 'on', 'nopass', '~other:*', '+@all');
  const url = server.url({ user: 'small', password: 'any' });
  const [heard, unheard] = [makeStore({ url }), makeStore({ url, namespace: 'unheard' })];
  const errors = [];
  const keyv = new Keyv({ store: heard });
  keyv.on('error', (error) => errors.push(error));
  const silentKeyv = new Keyv({ store: unheard });
  let told = 0;
  unheard.cache.on('error', () => told++);
  await until(async () => {
    await Promise.all([keyv.set('x', 1), silentKeyv.set('x', 1)]);
    return errors.length > 0 && told > 0;
  }, 'both are told');
  expect(errors[0]).toBeInstanceOf(Error);
});

test('what a listener throws is its own', () => {
  const store = makeStore();
  const thrown = new Error('from the listener');
  store.on('error', () => {
    throw thrown;
  });
  expect(() => store.tell(new Error('told'))).toThrow(thrown);
});

test('examples/keyv6 serves through an outage', async () => {
  await servesThroughOutage('keyv6', ['/user/7', '/user/8', '/users'], { aliases: { keyv: 'keyv6' } });
});
