// What the command line reads by itself: URLs, replies, stored entries. Each is read as the engine reads it.
'use strict';

const { ProtocolError, Reader, ReplyError, frame } = require('../../cli/redis/resp.js');
const { UrlFault, seeds } = require('../../cli/redis/target.js');
const { HEAD_BYTES, entryOf, keyOf } = require('../../cli/stored/entry.js');
const { connect } = require('../support/fleet/client');
const { closeCaches, holdfast, openCache, silent, stored } = require('../support/holdfast');
const { serverForAll } = require('../support/redis-server');

const URLS = [
  'redis://127.0.0.1:1',
  'redis://127.0.0.1:1/',
  'redis://127.0.0.1:1/3',
  'redis://127.0.0.1:1/3/',
  'redis://127.0.0.1:1/?db=3',
  'redis://127.0.0.1:1/65535',
  'redis://127.0.0.1:1/65536',
  'redis://127.0.0.1:1/-1',
  'redis://127.0.0.1:1/x',
  'redis://127.0.0.1:99999',
  'redis://:pass@127.0.0.1:1',
  'redis://user@127.0.0.1:1',
  'redis://user:@127.0.0.1:1',
  'redis://us%20er:p%40ss%2F@127.0.0.1:1',
  'redis://user:p@ss@127.0.0.1:1',
  'redis://user:100%@127.0.0.1:1',
  'redis://user:p%ff@127.0.0.1:1',
  'redis://user:p/ss@127.0.0.1:1',
  'redis://user:p#ss@127.0.0.1:1',
  'redis://127.0.0.1:1#insecure',
  'redis://127.0.0.1:1/?family=0',
  'REDIS://127.0.0.1:1',
  'rediss://127.0.0.1:1',
  'valkey://127.0.0.1:1',
  'valkeys://127.0.0.1:1',
  'redis://[::1]:1',
  'redis://[::1',
  'redis://',
  'redis:///1',
  'http://127.0.0.1:1',
  '127.0.0.1:1',
  'nonsense',
  'unix:/no/socket',
  'unix:///no/socket',
  'redis+unix:///no/socket?db=3&user=u&pass=p',
  'unix:/',
  'redis://127.0.0.1:1,127.0.0.1:2',
  'rediss://user:pass@127.0.0.1:1,[::1]:2/0',
  'redis+cluster://127.0.0.1:1',
  'redis-cluster://127.0.0.1:1',
  'redis://127.0.0.1:1,',
  'redis://127.0.0.1:1,b:0',
  'redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster/1',
  'rediss+sentinel://user:pass@127.0.0.1:1/mymaster?sentinel_password=x',
  'redis-sentinel://127.0.0.1:1/0#mymaster',
  'redis+sentinel://127.0.0.1:1',
  'redis+sentinel:///mymaster',
  'redis+sentinel://127.0.0.1:1/mymaster/x',
];

afterEach(closeCaches);

test.each(URLS)('%s is understood, or refused, as the engine does', async (url) => {
  const options = { namespace: 'x', url, logger: silent(), lazy: true };
  let engine = true;
  try {
    await holdfast.createCache(options).close();
  } catch (error) {
    expect(error.code).toBe('ERR_CONFIG');
    engine = false;
  }
  let ours = true;
  try {
    seeds(url);
  } catch (error) {
    expect(error).toBeInstanceOf(UrlFault);
    expect(error.message).not.toMatch(/p@ss|p\/ss|p#ss|user:|127\.0/);
    ours = false;
  }
  expect(ours).toBe(engine);
});

test('a URL has these parts', () => {
  const [server] = seeds('rediss://us%20er:p%40ss%2F@[::1]:7000/3').targets;
  expect(server).toEqual({
    host: '::1',
    port: 7000,
    path: '',
    tls: true,
    user: 'us er',
    password: 'p@ss/',
    database: 3,
  });
  const cluster = seeds('redis://u:p@a:7000,b');
  expect(cluster.form).toBe('cluster');
  expect(cluster.targets.map(({ host, port, password }) => [host, port, password])).toEqual([
    ['a', 7000, 'p'],
    ['b', 6379, 'p'],
  ]);
  const behind = seeds('redis+sentinel://u:p@a,b:2/mymaster/3?sentinel_password=s');
  expect(behind).toMatchObject({ form: 'sentinels', name: 'mymaster', access: { password: 'p', database: 3 } });
  expect(behind.targets.map(({ host, port, password }) => [host, port, password])).toEqual([
    ['a', 26_379, 's'],
    ['b', 2, 's'],
  ]);
});

test('TLS is spoken where the scheme says so, and nowhere else', () => {
  const tls = (url) =>
    seeds(url).targets.every((target) => target.tls === seeds(url).access.tls) && seeds(url).access.tls;
  for (const kind of ['', '+cluster', '-cluster', '+sentinel', '-sentinel']) {
    for (const name of ['redis', 'valkey']) {
      const rest = `${kind}://h:1/${kind.endsWith('sentinel') ? 'name' : ''}`;
      expect({ url: name + rest, tls: tls(name + rest) }).toEqual({ url: name + rest, tls: false });
      expect({ url: `${name}s${rest}`, tls: tls(`${name}s${rest}`) }).toEqual({ url: `${name}s${rest}`, tls: true });
    }
  }
});

test('replies are read from any pieces', () => {
  const bytes = Buffer.from(
    '+OK\r\n-NOPERM no\r\n:7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n:1\r\n$1\r\nx\r\n%1\r\n$4\r\nmode\r\n$1\r\nm\r\n' +
      '>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n_\r\n#t\r\n,1.5\r\n=7\r\ntxt:abc\r\n(12345678901234567890\r\n',
  );
  const whole = new Reader().read(bytes);
  const reader = new Reader();
  const pieces = [...bytes].flatMap((byte) => reader.read(Buffer.from([byte])));
  expect(pieces).toEqual(whole);
  expect(whole.map(({ push }) => push).indexOf(true)).toBe(7);
  const values = whole.map(({ value }) => value);
  expect(values.slice(0, 5)).toEqual(['OK', new ReplyError('NOPERM no'), 7, Buffer.from('a\r\n'), null]);
  expect(values[1].code).toBe('NOPERM');
  expect(values[6]).toEqual(new Map([['mode', Buffer.from('m')]]));
  expect(values.slice(8)).toEqual([null, true, 1.5, Buffer.from('abc'), 12345678901234567890n]);
});

test('what no Redis says is refused, however long it would be', () => {
  for (const text of [
    'HTTP/1.1 400 Bad Request\r\n',
    '$2147483647\r\n',
    '*99999999\r\n',
    '$x\r\n',
    '*1\r\n'.repeat(99),
  ]) {
    expect(() => new Reader().read(Buffer.from(text))).toThrow(ProtocolError);
  }
  expect(() => new Reader().read(Buffer.from('\x15\x03\x01'))).toThrow(ProtocolError);
  expect(() => new Reader().read(Buffer.from(`+${'x'.repeat(70_000)}`))).toThrow(ProtocolError);
});

test('commands are framed as bytes', () => {
  expect(frame(['SET', Buffer.from([0xff]), 1]).toString('latin1')).toBe(
    '*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$1\r\n1\r\n',
  );
});

describe('what the engine has stored', () => {
  const server = serverForAll();

  async function bytesAt(key) {
    const hex = await server.cli(
      'eval',
      'return (redis.call("GET", KEYS[1]):gsub(".", function(c) return string.format("%02x", c:byte()) end))',
      '1',
      key,
    );
    return Buffer.from(hex, 'hex');
  }

  test.each(['json', 'structured', 'raw', 'text'])('with the codec %s is read', async (codec) => {
    const cache = await openCache({ url: server.url(), namespace: codec, codec, compression: { threshold: 100 } });
    const value = codec === 'raw' ? Buffer.from('x'.repeat(500)) : 'x'.repeat(500);
    await cache.set('packed', value, 60);
    await cache.set('tagged', value, { ttl: 60, tags: ['one', 'two'] });
    await cache.getOrCompute('living', () => value, { ttl: 60, grace: 30 });
    await stored(cache);
    const packed = entryOf(await bytesAt(`${codec}:packed`));
    expect(packed).toMatchObject({ kind: 'entry', codec, compressed: true, tags: [] });
    const bytes = await bytesAt(`${codec}:tagged`);
    const tagged = entryOf(bytes);
    expect(tagged).toMatchObject({ kind: 'entry', codec, tags: [{ name: 'one' }, { name: 'two' }] });
    expect(entryOf(await bytesAt(`${codec}:living`))).toMatchObject({ kind: 'entry', codec, extraMs: 30_000 });
    for (let end = 1; end < tagged.payloadAt; end++) {
      expect({ end, ...entryOf(bytes.subarray(0, end), false) }).toMatchObject({ end, kind: 'broken', cut: true });
    }
  });

  test('plain texts, markers and what is neither are told apart', () => {
    expect(entryOf(Buffer.from('{"a":1}')).kind).toBe('plain');
    expect(entryOf(Buffer.from('')).kind).toBe('plain');
    expect(entryOf(Buffer.from('\xfeholdfast:lease:', 'latin1')).kind).toBe('marker');
    for (const bytes of [
      [0xff, 2, 0, 0],
      [0xff, 1, 9, 0],
      [0xff, 1, 0, 8],
    ]) {
      expect(entryOf(Buffer.from(bytes), false)).toMatchObject({ kind: 'broken', cut: false });
    }
    expect(entryOf(Buffer.from([0xff, 1, 0, 4]), true)).toMatchObject({ kind: 'broken', cut: false });
    expect(HEAD_BYTES).toBeGreaterThan(24);
  });

  test('the keys of tags, refreshes and leases are its own', async () => {
    const cache = await openCache({ url: server.url(), namespace: 'own' });
    await cache.set('k', 1, { ttl: 60, tags: ['t'] });
    const client = await connect(server);
    const keys = await client.ask('KEYS', 'own:*');
    client.close();
    const kinds = keys.map((key) => keyOf(key.slice('own:'.length)));
    expect(kinds.sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([
      { kind: 'entry', name: 'k' },
      { kind: 'tag', name: 't' },
    ]);
    expect(keyOf('\0refresh\0k').kind).toBe('refresh');
    expect(keyOf('\0lease\0job').kind).toBe('lease');
  });
});
