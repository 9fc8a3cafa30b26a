// Owns the applications of Next.js side by side: one site, built once with each handler, its instances, started by
// `next start`, and the origin that all of them render from, which counts.
'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { freePort } = require('../../__test__/support/redis-server');
const { get } = require('../http/load');
const { WORKS_MS } = require('../lab/crowd');

const FOLDER = path.join(__dirname, 'next');
const SITE = path.join(FOLDER, 'site');
/** A build takes half a minute. */
const BUILD_BOUND_MS = 300_000;
/** What the site keeps, and how many of each are asked for. */
const KINDS = ['page', 'function'];
const SLUGS = 100;
/** Requests at a time by which an instance is made to keep them. */
const AT_A_TIME = 10;
/** Characters of a log that an error shows: its end. */
const SHOWN = 3000;

const resolved = (name) => () => require.resolve(name, { paths: [FOLDER] });
const own = (name) => () => path.join(FOLDER, 'handlers', name);

/**
 * `pages`, `functions`: the handlers for `cacheHandler`, and for `cacheHandlers` where there is one. `alone`: no Redis.
 */
const sites = {
  "Next's own": { alone: true, functions: () => '' },
  '@fortedigital/nextjs-cache-handler': { pages: own('fortedigital.mjs') },
  '@trieb.work/nextjs-turbo-redis-cache': {
    pages: resolved('@trieb.work/nextjs-turbo-redis-cache'),
    functions: own('trieb-functions.cjs'),
  },
  'holdfast/next': { pages: resolved('holdfast/next'), functions: resolved('holdfast/next-use-cache') },
};

const kindsOf = (name) => KINDS.filter((kind) => kind === 'page' || sites[name].functions);
const pathsOf = (kind) => Array.from({ length: SLUGS }, (_, at) => `${kind}/${at}`);

/**
 * Builds of this run by the names of the sites, each with its folders: one for each instance, as on two machines. And
 * all folders, also those whose build failed.
 */
const built = new Map();
const made = [];
let origin = null;

/** An instance of a site that keeps all that is asked for in windows and outages. `number`: 0, or 1 for the other. */
async function startSite(lab, name, number = 0) {
  const [{ folders, log }, { url }] = await Promise.all([builtOf(lab, name), originOf()]);
  const port = String(await freePort('127.0.0.1'));
  const env = { ...envOf(name), REDIS_URL: lab.url, BENCH_ORIGIN: url, NODE_ENV: 'production' };
  const output = fs.openSync(log, 'a');
  const script = path.join(FOLDER, 'instance.cjs');
  const child = await lab.start(script, [folders[number], port], env, output).catch((error) => {
    throw new Error(`${name}: ${error.message}\n${fs.readFileSync(log, 'utf8').slice(-SHOWN)}`);
  });
  fs.closeSync(output);
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const ask = async (at) => {
    const status = await get(`http://127.0.0.1:${port}/${at}`, agent);
    if (status !== 200) throw new Error(`${name} answers ${at} with ${status}`);
  };
  // What the first request has made the second one finds, also where it is stored behind the answer.
  for (const kind of [...kindsOf(name), ...kindsOf(name)]) await Promise.all(pathsOf(kind).map(ask));
  agent.destroy();
  return child;
}

function builtOf(lab, name) {
  if (!built.has(name)) built.set(name, buildSite(lab, name));
  return built.get(name);
}

async function buildSite(lab, name) {
  // One of the handlers learns by these events what Redis has removed, and its documentation has them switched on.
  await lab.controls[0].config('SET', 'notify-keyspace-events', 'Exe');
  const [first, second] = [0, 1].map(() => fs.mkdtempSync(path.join(FOLDER, '.copy-')));
  made.push(first, second);
  const log = path.join(first, 'output.log');
  fs.cpSync(SITE, first, { recursive: true });
  const output = fs.openSync(log, 'a');
  const next = require.resolve('next/dist/bin/next', { paths: [FOLDER] });
  const child = spawn(process.execPath, [next, 'build'], {
    cwd: first,
    env: { ...process.env, ...envOf(name), REDIS_URL: lab.url },
    stdio: ['ignore', output, output],
    timeout: BUILD_BOUND_MS,
  });
  const [code] = await once(child, 'exit');
  fs.closeSync(output);
  if (code !== 0) throw new Error(`${name} does not build:\n${fs.readFileSync(log, 'utf8').slice(-SHOWN)}`);
  fs.cpSync(first, second, { recursive: true });
  console.log(`built with ${name}`);
  return { folders: [first, second], log };
}

function envOf(name) {
  const { pages = () => '', functions = () => '' } = sites[name];
  return {
    BENCH_PAGES: pages(),
    BENCH_FUNCTIONS: functions(),
    NEXT_TELEMETRY_DISABLED: '1',
    HOLDFAST_LOG: 'silent',
  };
}

/** Answers each name, a while later, with the name and how often it was asked for: once for each rendering. */
function originOf() {
  origin ??= openOrigin();
  return origin;
}

async function openOrigin() {
  const counts = new Map();
  const server = http.createServer(async (request, response) => {
    const name = request.url.slice(1);
    counts.set(name, renders(name) + 1);
    const text = `${name} ${renders(name)}`;
    await sleep(WORKS_MS);
    response.setHeader('connection', 'close').end(text);
  });
  const renders = (name) => counts.get(name) ?? 0;
  server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 });
  await once(server, 'listening');
  const allRenders = () => [...counts.values()].reduce((sum, count) => sum + count, 0);
  return { url: `http://127.0.0.1:${server.address().port}`, renders, allRenders, close: () => server.close() };
}

/** How often anything was rendered so far, of a name or of all. */
async function rendersOf(name) {
  const { renders, allRenders } = await originOf();
  return name === undefined ? allRenders() : renders(name);
}

/** Ends the origin, and removes what was built. */
async function removeSites() {
  (await origin)?.close();
  origin = null;
  built.clear();
  for (const folder of made.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
}

module.exports = { FOLDER, sites, kindsOf, pathsOf, rendersOf, startSite, removeSites };
