// Runs the demo of examples/analytics on a small data set, as `npm run demo` does, and reads the figures that it
// writes.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('../support/folder');
const { ROOT } = require('../support/holdfast');
const { startRedis } = require('../support/redis-server');
const { cleanEnv } = require('../support/run-script');
const { until } = require('../support/until');

const LAUNCHER = path.join(ROOT, 'scripts', 'demo.mjs');
const DEMO = path.join(ROOT, 'examples', 'analytics', 'demo.js');
const ROWS = 200_000;
/** Against a hang only; the first run may install and generate. */
const BOUND_MS = 300_000;

let folder;
const running = new Set();

beforeAll(() => {
  folder = makeFolder('demo');
});

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  folder.remove();
});

function start(script, args, env = {}) {
  const child = spawn(process.execPath, [script, ...args], {
    // Patient with Redis: a busy machine is not an outage.
    env: cleanEnv({ HOLDFAST_DEMO_ROWS: String(ROWS), HOLDFAST_TIMEOUT_MS: '2000', ...env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      child.output += text;
    });
  }
  child.ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return child;
}

/** Runs the demo to its end; resolves to its figures and what it printed. */
async function run(script, env, args = []) {
  const file = path.join(folder.dir, `figures-${running.size}-${Date.now()}.json`);
  const child = start(script, [...args, '--json', file], env);
  const code = await child.ended;
  if (code !== 0) throw new Error(`the demo ended with ${code}:\n${child.output}`);
  return { figures: JSON.parse(fs.readFileSync(file, 'utf8')), output: child.output };
}

function sum({ A, B }) {
  return A + B;
}

describe('the demo with a redis-server of its own', () => {
  let figures;
  let output;

  beforeAll(async () => {
    ({ figures, output } = await run(LAUNCHER));
  }, BOUND_MS);

  test('runs both instances in redis mode over the data set that was asked for', () => {
    expect(figures).toMatchObject({ rows: ROWS, redis: 'own', mode: { start: { A: 'redis', B: 'redis' } } });
  });

  test('runs one query for each cold report', () => {
    expect(figures.cold).toMatchObject({ requests: 6, queries: 6, hits: 0 });
  });

  test('lets instance B find everything that instance A computed', () => {
    expect(figures.shared).toMatchObject({ requests: 6, queries: 0, hits: 6 });
  });

  test('runs one query an instance at most for a hundred callers at once', () => {
    const { callers, queries } = figures.burst;
    expect(callers).toBe(100);
    expect(sum(queries)).toBeGreaterThanOrEqual(1);
    expect(queries.A).toBeLessThanOrEqual(1);
    expect(queries.B).toBeLessThanOrEqual(1);
  });

  test('answers cached reports without a query, a miss or an error', () => {
    expect(figures.cached).toMatchObject({ queries: 0, hitRate: 1, errors: 0 });
    expect(figures.cached.requests).toBeGreaterThan(0);
  });

  test('answers without an error while Redis is stopped, from a query an instance for each of the two hot reports at most', () => {
    const { before, stopped, after } = figures.outage;
    for (const part of [before, stopped, after]) {
      expect(part.errors).toBe(0);
      expect(part.requests).toBeGreaterThan(0);
    }
    expect(before.queries + after.queries).toBe(0);
    expect(stopped.queries).toBeLessThanOrEqual(4);
  });

  test('notices the outage, says so in /health/redis, and returns to redis mode by itself', () => {
    const { noticedMs, returnedMs, healthWhileStopped, healthAfter } = figures.outage;
    for (const delays of [noticedMs, returnedMs]) {
      expect(delays).toEqual({ A: expect.any(Number), B: expect.any(Number) });
    }
    expect(healthWhileStopped).toEqual({ A: 503, B: 503 });
    expect(healthAfter).toEqual({ A: 200, B: 200 });
    expect(figures.mode.end).toEqual({ A: 'redis', B: 'redis' });
  });

  test('prints the same as tables', () => {
    for (const line of [
      'cold, from instance A',
      'the same from instance B',
      'cached, for',
      'Redis stopped for',
      'Redis back',
    ]) {
      expect(output).toContain(line);
    }
  });
});

describe.each(['cluster', 'sentinel'])('the demo with --%s', (fleet) => {
  let figures;
  let output;

  beforeAll(async () => {
    ({ figures, output } = await run(DEMO, {}, [`--${fleet}`]));
  }, BOUND_MS);

  test('shares what was computed, and stops no server', () => {
    expect(figures).toMatchObject({ redis: fleet, shared: { queries: 0, hits: 6 }, outage: null });
    expect(figures.mode).toEqual({ start: { A: 'redis', B: 'redis' }, end: { A: 'redis', B: 'redis' } });
  });

  test('answers all requests before, while and after a primary is killed, in process where it has to', () => {
    const { before, during, after } = figures.failover;
    for (const part of [before, during, after]) {
      expect(part.errors).toBe(0);
      expect(part.requests).toBeGreaterThan(0);
    }
    expect(during.answers.memory).toBeGreaterThan(0);
    expect(before.answers.memory + after.answers.memory).toBe(0);
  });

  test('notices that the primary is away, and returns to the one that took its place', () => {
    const { killed, promoted, instances } = figures.failover;
    expect(promoted).toEqual({ port: expect.any(Number), ms: expect.any(Number) });
    expect(promoted.port).not.toBe(killed);
    for (const { noticedMs, returnedMs } of Object.values(instances)) {
      expect(noticedMs).toEqual(expect.any(Number));
      expect(returnedMs).toBeGreaterThan(noticedMs);
    }
  });

  test('tells the modes over time, of a cluster by its servers', () => {
    const { killed, promoted, instances } = figures.failover;
    const address = (port) => `127.0.0.1:${port}`;
    for (const { modes, nodes } of Object.values(instances)) {
      expect(modes.at(0)).toMatchObject({ mode: 'redis', status: 'ok' });
      expect(modes.at(-1)).toMatchObject({ mode: 'redis', status: 'ok' });
      if (fleet === 'sentinel') {
        expect(modes.map(({ mode }) => mode)).toContain('memory');
        continue;
      }
      // The others go on.
      expect(new Set(modes.map(({ mode }) => mode))).toEqual(new Set(['redis']));
      for (const each of [nodes.before, nodes.during, nodes.after]) expect(each).toHaveLength(3);
      expect(nodes.before.every(({ mode }) => mode === 'redis')).toBe(true);
      expect(nodes.during.filter(({ mode }) => mode === 'memory').map((node) => node.address)).toEqual([
        address(killed),
      ]);
      expect(nodes.after.every(({ mode }) => mode === 'redis')).toBe(true);
      expect(nodes.after.map((node) => node.address)).toContain(address(promoted.port));
      expect(nodes.after.map((node) => node.address)).not.toContain(address(killed));
    }
  });

  test('prints the same as tables', () => {
    for (const line of [
      'a primary killed, until all is well',
      'modes of A: before redis',
      'modes of B: before redis',
    ]) {
      expect(output).toContain(line);
    }
    expect(output).toContain('health().nodes of A');
  });
});

test(
  'the demo left running behind sentinels names its servers, and ends them',
  async () => {
    const demo = start(DEMO, ['--sentinel', '--serve']);
    await until(() => demo.output.includes('Ctrl-C ends it') || demo.exitCode !== null, 'the demo serves', BOUND_MS);
    const servers = [...demo.output.matchAll(/(primary|replica|sentinel) +127\.0\.0\.1:\d+, kill -9 (\d+) ends it/g)];
    expect(servers.map(([, role]) => role)).toEqual(['primary', 'replica', 'sentinel', 'sentinel', 'sentinel']);
    demo.kill('SIGTERM');
    expect(await demo.ended).toBe(143);
    for (const [, , pid] of servers) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  },
  BOUND_MS,
);

describe('the options of the demo', () => {
  test('--help says what they do', async () => {
    const demo = start(DEMO, ['--help']);
    expect(await demo.ended).toBe(0);
    for (const option of ['--cluster', '--sentinel', '--serve', '--rows', '--json', 'REDIS_URL']) {
      expect(demo.output).toContain(option);
    }
  });

  test.each([
    [['--cluster', '--sentinel'], {}, /^demo: cluster, sentinel: one of them at a time/],
    [['--cluster'], { REDIS_URL: 'redis://127.0.0.1:1' }, /^demo: cluster: starts servers of its own/],
    [['--rows', '10'], {}, /^demo: rows: must be a whole number/],
  ])('refuses %j with %j', async (args, env, message) => {
    const demo = start(DEMO, args, env);
    expect(await demo.ended).toBe(1);
    expect(demo.output).toMatch(message);
  });
});

describe('the demo with the server of REDIS_URL', () => {
  let redis;
  let figures;
  let output;

  beforeAll(async () => {
    redis = await startRedis();
    await redis.cli('set', 'foreign', 'kept');
    ({ figures, output } = await run(DEMO, { REDIS_URL: redis.url() }));
  }, BOUND_MS);

  afterAll(() => redis.stop());

  test('shares what was computed', () => {
    expect(figures).toMatchObject({ redis: 'REDIS_URL', shared: { queries: 0, hits: 6 } });
  });

  test('does not stop a server that is not its own, and says so', () => {
    expect(figures.outage).toBeNull();
    expect(output).toContain('not ours to stop');
  });

  test('leaves behind what it found and nothing else', async () => {
    expect(await redis.cli('keys', '*')).toBe('foreign');
  });
});

describe('the demo left running, without any Redis', () => {
  let demo;
  let urls;

  beforeAll(async () => {
    const bin = path.join(folder.dir, 'bin');
    fs.mkdirSync(bin);
    demo = start(DEMO, ['--serve'], { PATH: bin });
    await until(() => demo.output.includes('Ctrl-C ends it') || demo.exitCode !== null, 'the demo serves', BOUND_MS);
    urls = [...new Set(demo.output.match(/http:\/\/127\.0\.0\.1:\d+/g))];
  }, BOUND_MS);

  /** Asks the proxy, which comes first. */
  async function get(pathname) {
    const reply = await fetch(urls[0] + pathname);
    return { status: reply.status, body: await reply.json() };
  }

  test('says that it runs in memory mode', () => {
    expect(demo.output).toContain('Memory mode');
    expect(urls).toHaveLength(3);
  });

  test('is alive, and degraded as a part of a fleet', async () => {
    expect(await get('/health')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await get('/health/redis')).toMatchObject({ status: 503, body: { status: 'degraded', mode: 'memory' } });
  });

  test.each([
    ['/api/community/analytics/performance?tenant=7&period=month', 36],
    ['/api/community/analytics/performance?tenant=7&period=day&from=2025-01-01&to=2025-01-11', 10],
    ['/api/trader/analytics/performance?tenant=7&trader=7042&period=week&from=2024-01-01&to=2025-01-01', undefined],
    ['/api/trader/analytics/performance?tenant=999&trader=1', 0],
  ])('answers %s', async (pathname, rows) => {
    const first = await get(pathname);
    expect(first.status).toBe(200);
    if (rows !== undefined) expect(first.body.rows).toHaveLength(rows);
    expect(await get(pathname)).toEqual(first);
  });

  test.each([
    ['community/analytics/performance', /^tenant: is required/],
    ['community/analytics/performance?tenant=0', /^tenant: must be a whole number/],
    ['community/analytics/performance?tenant=7&period=year', /^period: /],
    ['community/analytics/performance?tenant=7&tenant=8', /^tenant: is given more than once/],
    ['community/analytics/performance?tenant=7&trader=7042', /^trader: no such parameter/],
    ['trader/analytics/performance?tenant=7', /^trader: is required/],
    ['trader/analytics/performance?tenant=7&trader=7042&from=2025-02-30', /^from: must be a date/],
    ['trader/analytics/performance?tenant=7&trader=7042&from=2025-02-02&to=2025-02-02', /^from: must be before to/],
  ])('refuses /api/%s', async (pathname, message) => {
    const { status, body } = await get(`/api/${pathname}`);
    expect(status).toBe(400);
    expect(body.error).toMatch(message);
  });

  test('ends with all its processes when it is told to', async () => {
    demo.kill('SIGTERM');
    expect(await demo.ended).toBe(143);
    for (const url of urls) await expect(fetch(`${url}/health`)).rejects.toThrow();
  });
});
