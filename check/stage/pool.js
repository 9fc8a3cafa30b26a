// Owns the servers and processes on which schedules run, one after the other: a real Redis, or several, two processes
// behind a network each, one of them with a worker thread, and a foreign client.
'use strict';

const { fork } = require('node:child_process');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { makeFolder } = require('../../__test__/support/folder');
const { readDiary } = require('./diary');
const { breaks, runFaults, runForeign } = require('./faults');
const { TOPOLOGIES } = require('./topology');

/** Where calls are made: process and thread. A process holds its threads' connection. */
const PLACES = { a: 'a', 'a+': 'a', b: 'b' };
const PATIENCE_MS = { single: 30_000, sentinel: 120_000, cluster: 120_000 };
/**
 * A machine that is busy enough answers no call within the `timeoutMs` of a schedule, and each that is late is an
 * outage: who has looked in vain for so long is given more time for each call, by the same engine. Then nothing stands
 * in the way of rest, and the bound on it is against hanging.
 */
const HASTE_MS = 5_000;
const REST_MS = 90_000;
/** What a schedule finds in Redis outlives it. */
const LIFE_MS = 120_000;
/** Many keys of others, which stay: made anew where somebody did away with them. */
const CROWD = `if redis.call('EXISTS', 'crowd:' .. ARGV[1]) == 0 then
  for i = 1, ARGV[1] do redis.call('SET', 'crowd:' .. i, 'theirs') end
end`;
/** Keys of others that outlive a schedule, with names that a careless prefix would meet. */
const neighbours = (namespace) => [`${namespace}`, `${namespace}x:k0`, `x${namespace}:k0`, 'k0', 'n0'];

/** @type {Set<Pool>} those that run */
const pools = new Set();
/** Our processes: one that stands still would outlive us. The servers have a guard of their own. */
const children = new Set();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

class Pool {
  #waiting = new Map();
  #id = 0;
  #runs = 0;
  #build;
  #folder = makeFolder('check');
  /** Processes that a fault has ended, until the next schedule. */
  #gone = new Set();
  /** Of this schedule: `{ process, at }`. */
  #deaths = [];
  #now = () => 0;

  /** @param {{ package: string, mutant: string, io: string, topology: string }} build */
  static async start(build) {
    const pool = new Pool();
    pool.io = build.io;
    pool.#build = build;
    pool.patienceMs = PATIENCE_MS[build.topology];
    const names = [...new Set(Object.values(PLACES))];
    pool.topology = await TOPOLOGIES[build.topology].start(names);
    pool.processes = Object.fromEntries(names.map((name) => [name, pool.#fork(name)]));
    await pool.#all('hello');
    pools.add(pool);
    return pool;
  }

  #fork(name) {
    const build = this.#build;
    const thread = Object.keys(PLACES).find((place) => place !== name && PLACES[place] === name);
    const child = fork(path.join(__dirname, 'worker.js'), [], {
      env: {
        PATH: process.env.PATH,
        CHECK_PACKAGE: build.package,
        CHECK_PLACE: name,
        ...(thread ? { CHECK_THREAD: thread } : {}),
        HOLDFAST_MUTANT: build.mutant,
        ...(build.io ? { HOLDFAST_IO: build.io } : {}),
        HOLDFAST_LOG: 'silent',
      },
    });
    child.on('message', ({ id, result }) => {
      this.#waiting.get(id)?.resolve(result);
      this.#waiting.delete(id);
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    child.once('exit', (code, signal) => this.#fail(new Error(`process ${name} ended (${signal ?? code})`)));
    return child;
  }

  #fail(error) {
    this.dead = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #tell(place, task, what = {}) {
    if (this.dead) return Promise.reject(this.dead);
    if (this.#gone.has(PLACES[place])) return Promise.resolve(null);
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new Error(`${place} hangs in «${task}»`)), this.patienceMs);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        how(value);
      };
      this.#waiting.set(id, { place, resolve: settle(resolve), reject: settle(reject) });
      this.processes[PLACES[place]].send({ id, place, task, ...what }, () => {});
    });
  }

  #all(task, what = () => ({})) {
    return Promise.all(Object.keys(PLACES).map((place) => this.#tell(place, task, what(place))));
  }

  endThread() {
    const [process] = Object.entries(PLACES).find(([place, name]) => place !== name);
    return this.#tell(PLACES[process], 'end').catch(() => {});
  }

  /** A process ends in the middle of its calls; nobody waits for it any more. */
  async endProcess(name) {
    const child = this.processes[name];
    const ended = new Promise((resolve) => child.removeAllListeners('exit').once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.#deaths.push({ process: name, at: this.#now() });
    children.delete(child);
    this.#gone.add(name);
    for (const [id, { place, resolve }] of this.#waiting) {
      if (PLACES[place] !== name) continue;
      this.#waiting.delete(id);
      resolve(null);
    }
  }

  /** Others take the places of those that ended. */
  async #revive() {
    const names = [...this.#gone];
    this.#gone.clear();
    for (const name of names) this.processes[name] = this.#fork(name);
    const places = Object.keys(PLACES).filter((place) => names.includes(PLACES[place]));
    await Promise.all(places.map((place) => this.#tell(place, 'hello')));
  }

  #diaryOf(place) {
    return path.join(this.#folder.dir, place);
  }

  /** What lies at these keys. */
  #read(keys) {
    return Promise.all(keys.map((key) => this.topology.command('GET', key)));
  }

  /** What the schedule and its judge find in Redis at its beginning. */
  async #write(plan, namespace, others) {
    const { topology } = this;
    if (plan.crowd > 0) await topology.command('EVAL', CROWD, 0, plan.crowd);
    await Promise.all([
      ...others.map((key) => topology.command('SET', key, 'theirs', 'PX', LIFE_MS)),
      ...plan.counters.map((key) => topology.command('SET', `${namespace}:${key}`, plan.head, 'PX', LIFE_MS)),
    ]);
    if (plan.acl)
      await topology.everyServer('ACL', 'SETUSER', namespace, 'on', '>pass', `~${namespace}:*`, '&*', '+@all');
    await topology.replicated();
  }

  /** What each cache is opened with. */
  #openings(plan, namespace, base) {
    // As everybody, or as a user whose keys are those of this namespace alone.
    const user = plan.acl ? { name: namespace, password: 'pass' } : null;
    const ends = plan.faults.some(({ kind }) => kind === 'end');
    // A second thread that joins in the middle of the calls takes the socket from the event loop that has it.
    const dies = (place) => plan.faults.some(({ kind, process }) => kind === 'death' && process === PLACES[place]);
    const joins = (place) => this.io === 'loop' && plan.index % 2 === 1 && place !== PLACES[place];
    return (place) => ({
      options: { namespace, ...this.topology.optionsOf(PLACES[place], user), ...plan.options },
      base: `${base}`,
      ends,
      diary: dies(place) ? this.#diaryOf(place) : null,
      joins: joins(place),
      newsMs: plan.newsMs,
      tags: plan.tags,
      shards: this.topology.places,
    });
  }

  /** Runs a plan; resolves to its history. */
  async run(plan) {
    const { topology } = this;
    const namespace = `c${plan.seed}.${plan.index}.${++this.#runs}`;
    await topology.heal();
    const base = process.hrtime.bigint();
    const now = () => Number(process.hrtime.bigint() - base);
    this.#now = now;
    this.#deaths = [];
    await this.#revive();
    const names = [...plan.keys, ...plan.counters];
    const others = neighbours(namespace);
    // The first and the last of the crowd stand for it.
    const crowd = plan.crowd > 0 ? ['crowd:1', `crowd:${plan.crowd}`] : [];
    await topology.prepare(plan, namespace, now);
    await this.#write(plan, namespace, others);
    await topology.begin(plan);
    await this.#all('open', this.#openings(plan, namespace, base));

    const began = now();
    const foreign = runForeign(plan, { topology, namespace, now });
    const running = this.#all('run', (place) => ({
      clients: plan.clients.filter((client) => client.place === place),
      keys: names,
    }));
    running.catch(() => {});
    const faults = runFaults(plan.faults, this);
    faults.catch(() => {});
    const theirs = await foreign;
    await faults;
    // All that the networks still had of them has been delivered.
    const deaths = this.#deaths.map((death) => ({ ...death, silent: now() }));
    await this.#all('calm');
    await running;

    const final = await this.#look(namespace, names);
    const left = await this.#left(namespace, names, now);
    const looked = [...others, ...crowd];
    const kept = await this.#read(looked);
    const closed = await this.#all('close');
    const told = Object.keys(PLACES).map((place, i) => closed[i] ?? readDiary(this.#diaryOf(place)));
    if (plan.acl) await topology.everyServer('ACL', 'DELUSER', namespace);
    const leftovers = [...others, ...plan.tags.map((tag) => `${namespace}:\0tag\0${tag}`)];
    await Promise.all(leftovers.map((key) => topology.command('DEL', key)));
    return {
      began,
      processOf: { ...PLACES, foreign: 'foreign' },
      ops: [...theirs, ...told.flatMap(({ history }) => history)].sort((x, y) => x.start - y.start),
      events: told.flatMap(({ events }) => events),
      final,
      left,
      ended: [...Object.keys(PLACES).filter((_, i) => told[i].ended), ...(breaks(plan) ? ['foreign'] : [])],
      deaths,
      restarts: topology.restarts,
      lost: looked.filter((key, i) => kept[i] !== 'theirs' && !topology.hasDropped(key)),
      fleet: topology.story(base),
    };
  }

  /** Between which moments the life of each key ends; null where it does not, or is over. */
  async #left(namespace, names, now) {
    const left = {};
    for (const name of names) {
      const before = now();
      const millis = await this.topology.command('PTTL', `${namespace}:${name}`);
      left[name] = millis < 0 ? null : [before + millis * 1e6, now() + (millis + 1) * 1e6];
    }
    return left;
  }

  /**
   * What Redis holds in the end, while every place looks too. An outage meanwhile, as on a busy machine, makes them
   * look again.
   */
  async #look(namespace, names) {
    const stored = names.map((name) => `${namespace}:${name}`);
    const begun = Date.now();
    for (let i = 0; ; i++) {
      const patient = Date.now() - begun > HASTE_MS;
      const before = await this.#read(stored);
      const states = await this.#all('look', (place) => ({ keys: names, fresh: `fresh:${place}:${i}`, patient }));
      const after = await this.#read(stored);
      const steady = states.filter(Boolean).every((seen) => seen.length === 1 && /^\["redis"/.test(seen[0]));
      if (steady) return Object.fromEntries(names.map((name, at) => [name, [before[at], after[at]]]));
      if (Date.now() > begun + REST_MS) throw new Error(`no rest after the faults: ${JSON.stringify(states)}`);
      await sleep(20);
      await this.#all('forget');
    }
  }

  async stop() {
    pools.delete(this);
    for (const child of Object.values(this.processes)) {
      child.removeAllListeners('exit');
      children.delete(child);
      child.kill('SIGKILL');
    }
    await this.topology.stop();
    this.#folder.remove();
  }
}

/** For who is told to end in the middle of it all. */
async function stopPools() {
  await Promise.allSettled([...pools].map((pool) => pool.stop()));
}

module.exports = { Pool, stopPools };
