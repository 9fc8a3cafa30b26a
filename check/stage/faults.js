// Owns what befalls a schedule: the faults of its plan at their times, and the foreign client that writes meanwhile.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

/** A fault begins, and where it lasts returns what ends it. */
const FAULTS = {
  /** The kernel of a stopped server goes on accepting and acknowledging. */
  stop(pool, { nth = 0 }) {
    const primaries = pool.topology.primaries();
    const server = primaries[nth % primaries.length];
    if (!server.running) return;
    server.kill('SIGSTOP');
    return () => pool.topology.fallen.has(server) || server.running || server.kill('SIGCONT');
  },
  /** Nothing passes between a process and the server. */
  blackhole(pool, { process: name }) {
    pool.topology.networks[name].hold(true);
    return () => pool.topology.networks[name].release();
  },
  /**
   * Nothing passes on the connection that there is; the next one is well, and what was held arrives when it is in use.
   */
  stall(pool, { process: name }) {
    pool.topology.networks[name].hold(false);
    return () => pool.topology.networks[name].release();
  },
  /** What is sent arrives, and no reply comes back. */
  deafen: (pool, { process: name }) => pool.topology.networks[name].deafen(),
  cut: (pool, { process: name }) => pool.topology.networks[name].cut(),
  /** Replies take their time, and come in their order. */
  lag(pool, { process: name, ms }) {
    pool.topology.networks[name].lag(ms);
    return () => pool.topology.networks[name].lag(0);
  },
  /** A thread is ended in the middle of its calls, and of the computations that others wait for. */
  end: (pool) => pool.endThread(),
  /** A whole process is: nobody renews its leases, or makes good what it did while Redis was away. */
  death: (pool, { process: name }) => pool.endProcess(name),
  kill: (pool) => void pool.topology.killClients(),
  /** Our own process stands still, and finds replies and pushes together when it goes on. */
  freeze(pool, { process: name }) {
    pool.processes[name].kill('SIGSTOP');
    return () => pool.processes[name].kill('SIGCONT');
  },
};

/** Whether a server dies that foreign clients call. */
function breaks(plan) {
  return Boolean(plan.falls) || plan.faults.some(({ kind }) => kind === 'restart');
}

function runFaults(faults, pool) {
  return Promise.all(
    faults.map(async (fault) => {
      await sleep(fault.at);
      const end = await (pool.topology.faults[fault.kind] ?? FAULTS[fault.kind])(pool, fault);
      if (typeof end !== 'function') return;
      await sleep(fault.for);
      end();
    }),
  );
}

const PROBE = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}";
const FOREIGN = {
  set: ({ key, value, ttl }, stored) => ['SET', stored(key), value, 'PX', Math.round(ttl * 1000)],
  del: ({ keys }, stored) => ['DEL', ...keys.map(stored)],
  flush: () => ['FLUSHALL'],
  /** What lies at a key, and for how much longer, at one moment. */
  probe: ({ key }, stored) => ['EVAL', PROBE, 1, stored(key)],
};

/**
 * The programs of foreign clients; resolves to their history, in the form of the workers'. One connection keeps their
 * calls in order. A call without an answer, of a server that died, may have taken effect.
 */
async function runForeign(plan, { topology, namespace, now }) {
  const records = [];
  const state = ['foreign', 0];
  const make = async (client, call) => {
    const record = { ...call, place: 'foreign', client: client.name, seq: records.length, before: state, start: now() };
    records.push({ ...record, end: null });
    const args = FOREIGN[call.op](call, (key) => `${namespace}:${key}`);
    const answer = call.op === 'flush' ? topology.runEverywhere(args) : topology.run(args);
    const { reply, servers } = await answer.catch((error) => {
      if (breaks(plan)) return { servers: null };
      throw error;
    });
    const told = servers === null ? { end: null } : { result: reply, servers, end: now(), after: state };
    Object.assign(records[record.seq], told);
  };
  const run = async (client) => {
    for (const { pause, calls } of client.steps) {
      await sleep(pause);
      for (const call of calls) await make(client, call);
    }
  };
  await Promise.all(plan.clients.filter(({ place }) => place === 'foreign').map(run));
  return records;
}

module.exports = { breaks, runFaults, runForeign };
