// Contract: ready(), the events, and the whole surface of an emitter.
'use strict';

const events = require('node:events');
const { expectCode, expectThrows, makeCache } = require('../../support/holdfast');

const ADDERS = ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'];
const TAKERS = ['off', 'removeListener'];

module.exports = function emitterSurface(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  const opened = () => makeCache({ url: mode.url });
  /** Resolves when all that had been told when it was called has been delivered. */
  const delivered = () => new Promise((resolve) => setImmediate(resolve));

  test('ready() resolves with the mode, at the start and later', async () => {
    const other = opened();
    expect(await other.ready()).toBe(mode.mode);
    expect(other.getMode()).toBe(mode.mode);
    expect(await other.ready()).toBe(mode.mode);
    expect(await Promise.all([opened().ready(), opened().ready()])).toEqual([mode.mode, mode.mode]);
  });

  test('ready() of a closed cache rejects, and so does one that was waiting', async () => {
    const other = opened();
    const settled = other.ready().catch(({ code }) => code);
    await other.close();
    expect([mode.mode, 'ERR_CLOSED']).toContain(await settled);
    await expectCode(() => other.ready(), 'ERR_CLOSED');
  });

  test('the event ready comes once', async () => {
    const other = opened();
    let ready = 0;
    other.on('ready', () => ready++);
    await events.once(other, 'ready');
    await other.set('k', 1);
    await delivered();
    expect(ready).toBe(1);
  });

  test.each(ADDERS)('%s: a listener of ready that comes later hears of it once', async (add) => {
    await events.once(cache, 'ready');
    const listener = jest.fn();
    expect(cache[add]('ready', listener)).toBe(cache);
    expect(listener).not.toHaveBeenCalled();
    await delivered();
    await delivered();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(cache.listenerCount('ready')).toBe(/once/i.test(add) ? 0 : 1);
  });

  test('a late listener of ready that is taken away at once is not called', async () => {
    await events.once(cache, 'ready');
    const listener = jest.fn();
    cache.once('ready', listener).off('ready', listener);
    await delivered();
    expect(listener).not.toHaveBeenCalled();
  });

  test('events.on iterates over them', async () => {
    for await (const values of events.on(opened(), 'ready')) {
      expect(values).toHaveLength(1);
      break;
    }
  });

  test('events.once is given up without a trace', async () => {
    const ending = new AbortController();
    const waiting = events.once(cache, 'recovered', { signal: ending.signal });
    expect(cache.listenerCount('recovered')).toBe(1);
    ending.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect([cache.listenerCount('recovered'), cache.listenerCount('error')]).toEqual([0, 0]);
  });

  test('listeners are counted, listed in their order, and taken away', () => {
    const [first, second] = [() => {}, () => {}];
    expect(cache.on('fallback', second).prependListener('fallback', first).once('error', first)).toBe(cache);
    expect(cache.listeners('fallback')).toEqual([first, second]);
    expect(cache.listeners('error')).toEqual([first]);
    expect(cache.rawListeners('error')[0].listener).toBe(first);
    expect(cache.eventNames()).toEqual(['fallback', 'error']);
    expect(cache.listenerCount('fallback', first)).toBe(1);
    expect(events.getEventListeners(cache, 'fallback')).toEqual([first, second]);
    expect(events.listenerCount(cache, 'fallback')).toBe(2);
    for (const take of TAKERS) expect(cache[take]('fallback', first)).toBe(cache);
    expect(cache.listenerCount('fallback')).toBe(1);
    expect(cache.removeAllListeners('fallback')).toBe(cache);
    expect(cache.eventNames()).toEqual(['error']);
    expect(cache.removeAllListeners()).toBe(cache);
    expect(cache.eventNames()).toEqual([]);
  });

  test('newListener and removeListener are told, as by every emitter', () => {
    const told = [];
    const listener = () => {};
    cache.on('newListener', (event) => told.push(['new', event]));
    cache.on('removeListener', (event) => told.push(['gone', event]));
    cache.once('error', listener).off('error', listener);
    expect(told).toEqual([
      ['new', 'removeListener'],
      ['new', 'error'],
      ['gone', 'error'],
    ]);
  });

  test('the bound of listeners is set and read', () => {
    expect(cache.getMaxListeners()).toBe(events.defaultMaxListeners);
    expect(cache.setMaxListeners(3)).toBe(cache);
    expect(cache.getMaxListeners()).toBe(3);
    events.setMaxListeners(4, cache);
    expect(cache.getMaxListeners()).toBe(4);
    for (const most of [-1, NaN, '5', null, undefined])
      expectThrows(() => cache.setMaxListeners(most), 'ERR_INVALID_ARGUMENT');
  });

  test('what is no event or no listener is refused', () => {
    for (const name of [...ADDERS, ...TAKERS]) {
      for (const event of ['connect', '', '__proto__', undefined, null, 5, Symbol('ready'), ['ready']])
        expectThrows(() => cache[name](event, () => {}), 'ERR_INVALID_ARGUMENT');
      for (const listener of [undefined, null, 'ready', {}])
        expectThrows(() => cache[name]('ready', listener), 'ERR_INVALID_ARGUMENT');
    }
    for (const name of ['listenerCount', 'listeners', 'rawListeners', 'removeAllListeners'])
      expectThrows(() => cache[name]('connect'), 'ERR_INVALID_ARGUMENT');
  });

  test('nobody else emits', () => {
    const listener = jest.fn();
    cache.on('fallback', listener);
    expectThrows(() => cache.emit('fallback', {}), 'ERR_INVALID_ARGUMENT');
    expectThrows(() => cache.emit('error', new Error('made up')), 'ERR_INVALID_ARGUMENT');
    expect(listener).not.toHaveBeenCalled();
  });
};
