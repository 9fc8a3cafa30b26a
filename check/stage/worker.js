// Owns a process whose cache is checked, and the worker thread within it: makes the calls of its plan, and notes how
// each of them ended.
'use strict';

const { isMainThread, parentPort, workerData } = require('node:worker_threads');
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');
const { createCache } = require(process.env.CHECK_PACKAGE);
const { Diary } = require('./diary');
const { Thread } = require('./thread');

/** A call that takes this long never settles. */
const LONGEST_MS = 10_000;
/** A read that finds what the one before it found is no news for so long. */
const NEWS_MS = 2;
/** The `timeoutMs` of a cache that is not in haste. */
const PATIENT_MS = 5_000;
const SILENT = { info() {}, warn() {}, error() {} };
/** Faults take their time, and the pool bounds it. */
const CHASE_MS = 100_000;

const place = isMainThread ? process.env.CHECK_PLACE : workerData.place;
let cache;
/** All that are open: another one, of the same engine, where the first is in haste. */
let caches = [];
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
/** How each call is told as it happens, where this thread or its process may end in the middle of its calls. */
let teller = null;
/** @type {Diary | null} where it is told, if the process may end */
let diary = null;
/** @type {object[]} */
let history = [];
let events = [];
/** @type {Set<Promise<void>>} functions that run, and what they have to store, while it is under way */
const landings = new Set();

/** What a function that is to fail throws. */
const FAILED = 'FAILED';
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
  take: ({ key }) => cache.take(key),
  setIfAbsent: ({ key, value, ttl, tag }) => cache.setIfAbsent(key, value, tag ? { ttl, tags: [tag] } : ttl),
  del: ({ keys, soft }) => cache.del(keys.length === 1 ? keys[0] : keys, softly(soft)),
  increment: ({ key, amount }) => cache.increment(key, amount),
  invalidate: ({ tag, soft }) => cache.invalidateTags(tag, softly(soft)),
  sweep: ({ pattern }) => (pattern === null ? cache.clear() : cache.delPattern(pattern)),
  expire: ({ key, ttl }) => cache.expire(key, ttl),
  compute({ key, ...call }, record) {
    const fn = computation(call, record);
    const named = call.named ? { ...call, tag: null } : call;
    const run = async ({ setTags }) => {
      const [computed] = await fn([key]);
      if (call.named) setTags([call.tag]);
      return computed;
    };
    return cache.getOrCompute(key, run, optionsOf(named));
  },
  computeMany: ({ keys, ...call }, record) => cache.getOrComputeMany(keys, computation(call, record), optionsOf(call)),
};

/** @param {number} [soft] milliseconds */
function softly(soft) {
  return soft === undefined ? undefined : { stale: soft / 1_000 };
}

function optionsOf({ ttl, tag, lock, swr, grace, timeout, early }) {
  const seconds = Object.entries({ swr, grace, timeout }).filter(([, millis]) => millis > 0);
  return {
    ttl,
    lock,
    ...Object.fromEntries(seconds.map(([name, millis]) => [name, millis / 1_000])),
    ...(early > 0 ? { earlyRefresh: early } : {}),
    ...(tag ? { tags: [tag] } : {}),
  };
}

/** The function of a computation; each of its runs is noted, and gives values of its own. */
function computation({ value, ms, fails }, record) {
  record.runs = [];
  return async (keys) => {
    const runs = keys.map((key, i) => ({ key, value: value + record.runs.length + i, start: now(), before: state() }));
    record.runs.push(...runs);
    tell(record);
    const running = sleep(ms);
    outlast(running);
    await running;
    for (const run of runs) Object.assign(run, { after: state(), end: now() });
    tell(record);
    // Its call is over, and waits for what else there is no more: it got an old value.
    if (record.end !== null) land(record, runs);
    if (fails) throw Object.assign(new Error('a function of the schedule failed'), { code: FAILED });
    return runs.map((run) => run.value);
  };
}

function tell(record) {
  teller?.({ record });
}

/** Waits for this, too, before the schedule is over. */
function outlast(promise) {
  landings.add(promise);
  promise.finally(() => landings.delete(promise));
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
      teller?.({ drop: record.seq });
    }
    return record;
  };
  return verbs[call.op](call, record)
    .then(
      (result) => settled({ result: result ?? null }),
      (error) => settled({ error: `${error?.code ?? error}` }),
    )
    .finally(() => {
      const runs = record.runs?.filter((run) => run.end !== undefined) ?? [];
      if (runs.length > 0) land(record, runs);
    });
}

/**
 * Notes when the results of a computation have been stored, which travel behind its values: two trips of the same
 * thread later, as a function that runs on behind its call has its own store behind the first. On a cluster each
 * server's replies tell of its own keys.
 */
function land(record, runs) {
  const marks = shards === null ? ['landing'] : runs.map(({ key }) => besides(key, 'landing'));
  const landing = (async () => {
    await turn();
    for (let trip = 0; trip < 2; trip++) await Promise.allSettled(marks.map((mark) => cache.exists(mark)));
    for (const run of runs) Object.assign(run, { landed: now(), settled: state() });
    tell(record);
  })();
  outlast(landing);
}

async function landed() {
  while (landings.size > 0) await Promise.all(landings);
}

/** So many milliseconds later, or turns of the event loop, whatever has settled by then. */
async function makeLater(call, name) {
  if (call.after) await sleep(call.after);
  for (let i = 0; i < (call.turns ?? 0); i++) await turn();
  return make(call, name);
}

async function runClient({ name, steps }) {
  for (const { pause, calls } of steps) {
    if (pause === 0) await turn();
    else if (pause > 0) await sleep(pause);
    await Promise.all(calls.map((call) => (call.turns || call.after ? makeLater(call, name) : make(call, name))));
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
    if (calm && isWell()) more--;
    await Promise.all(keys.map((key) => make({ op: 'get', key }, 'chase', isNews)));
    await (more === 3 ? sleep(1) : turn());
  }
}

/** What is to be undone once Redis is back has been, too: until then its keys read as misses here. */
const isWell = () => isWhole() && cache.health().journal === 0;

/**
 * Everything as it is now that nobody writes any more: behind a reply of the server, and so behind its pushes.
 * `patient`: by a cache of the same engine that has all the time for its calls.
 */
async function look({ keys, fresh, patient }) {
  if (patient && caches.length === 1) {
    cache = createCache({ ...options, timeoutMs: PATIENT_MS, logger: SILENT });
    caches.push(cache);
  }
  const deadline = Date.now() + LONGEST_MS;
  while (patient && !isWell() && Date.now() < deadline) await sleep(5);
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
  cache = createCache({ ...options, logger: SILENT });
  caches = [cache];
  for (const name of ['fallback', 'recovered']) {
    cache.on(name, ({ node }) => {
      const event = { place, name, at: now(), ...(node ? { node } : {}) };
      events.push(event);
      diary?.note({ event });
    });
  }
  const deadline = Date.now() + LONGEST_MS;
  while (!isWhole() && Date.now() < deadline) await sleep(1);
}

const tasks = {
  async hello() {},
  async open(plan) {
    zero = BigInt(plan.base);
    diary?.close();
    diary = plan.diary ? new Diary(plan.diary) : null;
    teller = diary ? (note) => diary.note(note) : null;
    if (plan.ends && !isMainThread) teller = (note) => parentPort.postMessage(note);
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
    await within(landed());
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
    await within(landed());
    const told = { history: history.filter(({ start }) => start !== null), events };
    for (const each of caches) await within(each.close());
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
