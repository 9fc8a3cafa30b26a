// Owns a process whose cache is checked, and the worker thread within it: makes the calls of its plan, and notes how
// each of them ended.
'use strict';

const { isMainThread, parentPort, workerData } = require('node:worker_threads');
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');
const { createCache } = require(process.env.CHECK_PACKAGE);
const { Thread } = require('./thread');

/** A call that takes this long never settles. */
const LONGEST_MS = 10_000;
/** A read that finds what the one before it found is no news for so long. */
const NEWS_MS = 2;
/** Faults take their time, and the pool bounds it. */
const CHASE_MS = 100_000;

const place = isMainThread ? process.env.CHECK_PLACE : workerData.place;
let cache;
/** Options of the cache that is not open yet. */
let toOpen = null;
/** And of the one that is. */
let options = null;
let zero = 0n;
let seq = 0;
let calm = false;
let newsMs = NEWS_MS;
/** Of a cluster: which servers, by port, are of which shard. */
let shards = null;
/** @type {string[]} */
let tags = [];
/** This thread may be ended in the middle of its calls: it tells of each as it happens. */
let mortal = false;
/** @type {object[]} */
let history = [];
let events = [];
/** @type {Set<Promise<void>>} what computations have to store, while it is under way */
const landings = new Set();

const TOKEN = '\0tag\0';

const now = () => Number(process.hrtime.bigint() - zero);

/** What the cache says of itself. Two moments with the same state have no outage between them. */
function state() {
  const { mode, since, nodes } = cache.health();
  return shards === null ? [mode, since] : [mode, since, standings(nodes)];
}

/** By shard, the servers that serve slots, as this process has it: `[port, mode, since, slots]`. */
function standings(nodes = []) {
  const told = Array.from({ length: Math.max(...Object.values(shards)) + 1 }, () => []);
  for (const { address, mode, since, slots } of nodes) {
    if (address === null) continue;
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    told[shards[port]]?.push([port, mode, since, slots]);
  }
  return told;
}

/** A state in which all servers are in use begins with `redis`. */
function atRest([mode, since, told]) {
  const isUsed = (servers) => servers.length === 1 && servers[0][1] === 'redis';
  return told === undefined || told.every(isUsed) ? [mode, since, told] : ['memory', since, told];
}

/** Whether every server is in use. */
function isWhole() {
  return cache.getMode() === 'redis' && (shards === null || cache.health().status === 'ok');
}

/** A key that nobody has, of the same server as a name of the schedule, whose pushes come before its reply. */
function besides(of, key) {
  return `{${options.namespace}:${tags.includes(of) ? TOKEN : ''}${of}}${key}`;
}

/** What one thread alone can have under way at once, and more; nobody looks at what they read. */
const flood = (count) =>
  Promise.all(Array.from({ length: count }, (_, i) => cache.get(`flood:${i % 100}`))).then(() => null);

const verbs = {
  flood: ({ count }) => flood(count),
  get: ({ key }) => cache.get(key),
  sync: ({ key, of }) => cache.get(of ? besides(of, key) : key),
  getMany: ({ keys }) => cache.getMany(keys),
  set: ({ key, value, ttl, tag }) => cache.set(key, value, tag ? { ttl, tags: [tag] } : ttl),
  del: ({ keys }) => cache.del(keys.length === 1 ? keys[0] : keys),
  increment: ({ key, amount }) => cache.increment(key, amount),
  invalidate: ({ tag }) => cache.invalidateTags(tag),
  sweep: ({ pattern }) => (pattern === null ? cache.clear() : cache.delPattern(pattern)),
  expire: ({ key, ttl }) => cache.expire(key, ttl),
  compute({ key, ...call }, record) {
    const fn = computation(call, record);
    return cache.getOrCompute(key, async () => (await fn([key]))[0], optionsOf(call));
  },
  computeMany: ({ keys, ...call }, record) => cache.getOrComputeMany(keys, computation(call, record), optionsOf(call)),
};

const optionsOf = ({ ttl, tag, lock }) => ({ ttl, lock, ...(tag ? { tags: [tag] } : {}) });

/** The function of a computation; each of its runs is noted, and gives values of its own. */
function computation({ value, ms }, record) {
  record.runs = [];
  return async (keys) => {
    const runs = keys.map((key, i) => ({ key, value: value + record.runs.length + i, start: now(), before: state() }));
    record.runs.push(...runs);
    tell(record);
    await sleep(ms);
    for (const run of runs) Object.assign(run, { after: state(), end: now() });
    tell(record);
    return runs.map((run) => run.value);
  };
}

function tell(record) {
  if (mortal) parentPort.postMessage({ record });
}

/**
 * Makes a call at once; resolves when it has settled. `keep`: whether it is worth remembering, once its result is
 * known.
 */
function make(call, client, keep = () => true) {
  const record = { ...call, place, client, seq: seq++, before: state(), start: now(), end: null };
  history.push(record);
  tell(record);
  const settled = (more) => {
    record.end = now();
    record.after = state();
    Object.assign(record, more);
    if (keep(record)) {
      tell(record);
    } else {
      history.splice(history.lastIndexOf(record), 1);
      if (mortal) parentPort.postMessage({ drop: record.seq });
    }
    return record;
  };
  return verbs[call.op](call, record)
    .then(
      (result) => settled({ result: result ?? null }),
      (error) => settled({ error: `${error?.code ?? error}` }),
    )
    .finally(() => {
      if (record.runs?.length > 0) land(record);
    });
}

/**
 * Notes when the results of a computation have been stored, which travel behind its values: two trips of the same
 * thread later, as a function that runs on behind its call has its own store behind the first.
 */
function land(record) {
  const runs = record.runs.filter((run) => run.end !== undefined);
  const landing = (async () => {
    for (let trip = 0; trip < 2; trip++) await cache.exists('landing').catch(() => {});
    for (const run of runs) Object.assign(run, { landed: now(), settled: state() });
    tell(record);
  })();
  landings.add(landing);
  landing.finally(() => landings.delete(landing));
}

/** So many turns of the event loop later, whatever has settled by then. */
async function makeLater(call, name) {
  for (let i = 0; i < call.turns; i++) await turn();
  return make(call, name);
}

async function runClient({ name, steps }) {
  for (const { pause, calls } of steps) {
    if (pause === 0) await turn();
    else if (pause > 0) await sleep(pause);
    await Promise.all(calls.map((call) => (call.turns ? makeLater(call, name) : make(call, name))));
  }
}

/** Reads all keys over and over until Redis is back: the first reads after an outage tell the most. */
async function chase(keys) {
  const last = new Map();
  const isNews = ({ key, result, before, after, end }) => {
    const text = JSON.stringify([result, before, after]);
    const known = last.get(key);
    if (known?.text === text && end - known.end < newsMs * 1e6) return false;
    last.set(key, { text, end });
    return true;
  };
  let deadline = Date.now() + CHASE_MS;
  let more = 3;
  while ((!calm || more > 0) && Date.now() < deadline) {
    if (calm) deadline = Math.min(deadline, Date.now() + LONGEST_MS);
    // What an outage left to be swept is swept while Redis is in use: until then its keys read as misses here.
    if (calm && isWhole() && cache.health().journal === 0) more--;
    await Promise.all(keys.map((key) => make({ op: 'get', key }, 'chase', isNews)));
    await (more === 3 ? sleep(1) : turn());
  }
}

/** Everything as it is now that nobody writes any more: behind a reply of the server, and so behind its pushes. */
async function look({ keys, fresh }) {
  const syncs = shards === null ? [{}] : [...keys, ...tags].map((of) => ({ of }));
  await Promise.all(syncs.map((sync, i) => make({ op: 'sync', key: `${fresh}:${i}`, ...sync }, 'settle')));
  await Promise.all(keys.map((key) => make({ op: 'get', key }, 'settle')));
  await make({ op: 'getMany', keys }, 'settle');
}

function within(promise) {
  return Promise.race([promise, sleep(LONGEST_MS, undefined, { ref: false })]);
}

async function openCache() {
  if (toOpen === null) return;
  options = toOpen;
  toOpen = null;
  cache = createCache({ ...options, logger: { info() {}, warn() {}, error() {} } });
  for (const name of ['fallback', 'recovered']) {
    cache.on(name, ({ node }) => events.push({ place, name, at: now(), ...(node ? { node } : {}) }));
  }
  const deadline = Date.now() + LONGEST_MS;
  while (!isWhole() && Date.now() < deadline) await sleep(1);
}

const tasks = {
  async hello() {},
  async open(plan) {
    zero = BigInt(plan.base);
    mortal = plan.ends && !isMainThread;
    [seq, calm, history, events] = [0, false, [], []];
    newsMs = plan.newsMs ?? NEWS_MS;
    shards = plan.shards ?? null;
    tags = plan.tags;
    toOpen = plan.options;
    if (!plan.joins) await openCache();
  },
  async run({ clients, keys }) {
    await openCache();
    await within(Promise.all(clients.map(runClient)));
    await chase(keys);
    await within(Promise.all(landings));
  },
  async calm() {
    calm = true;
  },
  async look(what) {
    await within(look(what));
    const told = history.filter(({ client }) => client === 'settle');
    return [...new Set(told.map((record) => JSON.stringify(record.end !== null && atRest(record.after))))];
  },
  forget() {
    history = history.filter((record) => record.client !== 'settle');
  },
  /** Ends the worker thread, whatever it does. */
  async end() {
    await thread.end();
  },
  async close() {
    await within(Promise.all(landings));
    const told = { history: history.filter(({ start }) => start !== null), events };
    await within(cache.close());
    return told;
  },
};

async function handle(message, send) {
  const result = await tasks[message.task](message);
  send({ place, id: message.id, result });
}

const send = (reply) => process.send(reply, () => {});
const thread = isMainThread && process.env.CHECK_THREAD ? new Thread(__filename, process.env.CHECK_THREAD, send) : null;

if (isMainThread) {
  process.on('message', (message) => {
    if (message.place !== place) thread.post(message);
    else handle(message, send);
  });
  // Its pool is gone.
  process.once('disconnect', () => process.exit());
} else {
  parentPort.on('message', (message) => handle(message, (reply) => parentPort.postMessage(reply)));
}
