// Builds the site of the kit, and starts instances of it.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const { freePort } = require('../../support/redis-server.js');
const { until } = require('../../support/until.js');

export const SITE = fileURLToPath(new URL('../site', import.meta.url));
const NEXT = join(dirname(require.resolve('next/package.json')), 'dist/bin/next');
/** `KIT_BUNDLER` names the bundler of the builds: `webpack` in place of Next's own choice, Turbopack. */
const BUNDLER = process.env.KIT_BUNDLER ? [`--${process.env.KIT_BUNDLER}`] : [];
/** Against hangs alone. */
const ANSWER_BOUND_MS = 60_000;
const BUILD_BOUND_MS = 300_000;

function start(args, env, cwd = SITE) {
  const { PATH, HOME, KIT_CACHE_HANDLER, KIT_USE_CACHE_HANDLER } = process.env;
  const own = { PATH, HOME, KIT_CACHE_HANDLER, KIT_USE_CACHE_HANDLER, NEXT_TELEMETRY_DISABLED: '1', ...env };
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  const child = spawn(process.execPath, args, { cwd, env: given, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
  }
  const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  return { child, exited, output: () => text };
}

/** Builds a site, where there is no Redis: `redisUrl` leads nowhere. */
export async function build(redisUrl, dir = SITE) {
  const { child, exited, output } = start([NEXT, 'build', ...BUNDLER], { REDIS_URL: redisUrl }, dir);
  const bound = setTimeout(() => child.kill('SIGKILL'), BUILD_BOUND_MS);
  const code = await exited;
  clearTimeout(bound);
  if (code !== 0) throw new Error(`next build ended with ${code}:\n${output()}`);
  return output();
}

/** A copy of the built site: instances of one folder would share what Next keeps on the disk. `remove()` deletes it. */
export function copySite() {
  const dir = mkdtempSync(join(SITE, '../.copy-'));
  cpSync(SITE, dir, { recursive: true, verbatimSymlinks: true });
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Starts `next start`, or the program `server`; resolves once it answers. */
export async function startInstance({ redisUrl, origin = '', server, dir = SITE, ready = '/actions' }) {
  const port = await freePort('127.0.0.1');
  const args = server ? [server] : [NEXT, 'start', '--hostname', '127.0.0.1', '--port', String(port)];
  const env = { REDIS_URL: redisUrl, KIT_ORIGIN: origin, PORT: String(port), HOSTNAME: '127.0.0.1' };
  const { child, exited, output } = start(args, { NODE_ENV: 'production', ...env }, dir);
  const url = `http://127.0.0.1:${port}`;
  const instance = {
    url,
    output,
    /** Asks for a path; `value` is what the site shows there. */
    async ask(path, init) {
      const response = await fetch(url + path, { signal: AbortSignal.timeout(ANSWER_BOUND_MS), ...init });
      const bytes = Buffer.from(await response.arrayBuffer());
      return { status: response.status, headers: response.headers, bytes, value: shownIn(bytes) };
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
  try {
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the instance ended:\n${output()}`);
      return (await instance.ask(ready).catch(() => undefined))?.status === 200;
    }, 'the instance answers');
  } catch (error) {
    await instance.stop();
    throw error;
  }
  return instance;
}

/** The value of the origin within an answer: a name, a blank and a number. */
function shownIn(bytes) {
  return /[a-z]+\/[\w-]+ \d+/.exec(bytes.toString('latin1'))?.[0];
}
