// Owns what a benchmark stands on: a redis-server or a cluster of its own, child processes that measure, and the watch
// over the machine.
'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { startCluster } = require('../../__test__/support/fleet/cluster');
const { startRedis } = require('../../__test__/support/redis-server');
const { workloadOf } = require('./workload');

/** A window in which others used more of the machine than this is measured again, so many times in a run. */
const QUIET = 0.05;
const REPEATS = 60;
/** A node that is alone does not know its address and gives an empty one, of which not every client makes its own. */
const ADDRESSED = ['cluster-announce-ip 127.0.0.1'];
const BENCH = path.join(__dirname, '..');

/**
 * Starts redis-server on a free port of loopback, without persistence, or a cluster of so many `primaries`; with a
 * connection that writes keys, and one to each server that looks after it.
 */
async function startLab({ quick }, primaries = 0) {
  const fleet = primaries > 0 ? await startCluster({ primaries, replicas: 0, config: ADDRESSED }) : null;
  const servers = fleet?.nodes ?? [await startRedis()];
  const { Cluster, Redis } = require('ioredis');
  const [{ host, port }] = servers;
  // The writes of a turn are one pipeline for each server.
  const options = { enableAutoPipelining: true };
  const store = fleet ? new Cluster([{ host, port }], options) : new Redis(port, host, options);
  const controls = servers.map((server) => new Redis(server.url()));
  const children = new Set();

  /** Starts a script as a child that answers one message at a time; see `ask`. `log`: a file for what it prints. */
  async function start(script, args, env = {}, log = 'inherit') {
    const child = fork(script, args, { env: { ...process.env, ...env }, stdio: ['inherit', log, log, 'ipc'] });
    children.add(child);
    child.once('exit', () => children.delete(child));
    await answer(child);
    return child;
  }

  async function stop() {
    await end(...children);
    for (const client of [store, ...controls]) client.disconnect();
    await Promise.all(servers.map((server) => server.stop()));
  }

  const url = servers[0].url();
  return { url, primaries, serverPid: servers[0].pid, store, controls, repeats: quick ? 0 : REPEATS, start, stop };
}

/** Ends children. */
async function end(...children) {
  const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
  const exits = running.map((child) => once(child, 'exit'));
  for (const child of running) if (child.connected) child.disconnect();
  await Promise.all(exits);
}

/** Sends a request to a child and resolves to its result; its error, or its end, rejects. */
function ask(child, request) {
  child.send(request);
  return answer(child);
}

function answer(child) {
  return new Promise((resolve, reject) => {
    const onExit = (code) => reject(new Error(`${path.basename(child.spawnargs[1])} ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', ({ result, error }) => {
      child.off('exit', onExit);
      if (error) reject(new Error(error));
      else resolve(result);
    });
  });
}

/**
 * Runs `prepare`, which by default writes fresh keys, then `warmUp`, then `work`. These two resolve to a cost as the
 * meter of child.js gives it, with `failed`, a count of calls; only that of `work` counts. Adds `asked`, for how many
 * calls the server worked (an MGET is as many as it has keys), and `askedPerRead`, for how many of them by one read of
 * its socket: the batch as it arrived. When something else used the machine meanwhile it is done again, or marked as
 * disturbed once the run has repeated too much.
 */
async function measure(lab, warmUp, work, prepare = () => seed(lab)) {
  for (;;) {
    await prepare();
    await warmUp();
    await Promise.all(lab.controls.map((control) => control.config('RESETSTAT')));
    const before = await machineUse(lab);
    const result = await work();
    const after = await machineUse(lab);

    const spent = after.own - before.own + result.cpuMicros;
    const others = (after.busy - before.busy - spent) / (after.at - before.at) / os.cpus().length;
    const disturbed = others > QUIET;
    if (result.failed > 0 && !disturbed) throw new Error(`${result.failed} calls failed on a quiet machine`);
    const asked = Math.max(after.commands, after.lookups + after.sets);
    if (!disturbed || lab.repeats === 0) return { ...result, asked, askedPerRead: asked / after.reads, disturbed };
    lab.repeats -= 1;
    await sleep(1000);
  }
}

/** The same for work of so many `seconds`: `work(seconds, warmUp)` first warms up for half as long. */
function measureWindow(lab, seconds, work, prepare) {
  const [warmUp, window] = [() => work(seconds / 2, true), () => work(seconds, false)];
  return measure(lab, warmUp, window, prepare);
}

/** Writes the keys of a workload, a part at a time, so that the texts of large ones are not all in memory. */
async function seed({ store }, { keys, values } = workloadOf()) {
  for (let i = 0; i < keys.length; i += 1000) {
    const part = keys.slice(i, i + 1000);
    await Promise.all(part.map((key, n) => store.set(key, JSON.stringify(values[i + n]))));
  }
}

/** CPU of the whole machine and of the servers and this process, in microseconds, with the servers' own counts. */
async function machineUse({ controls }) {
  const texts = await Promise.all(controls.map((control) => control.info('everything')));
  const infos = texts.map((text) => Object.fromEntries(text.split('\r\n').map((line) => line.split(':', 2))));
  const sum = (count) => infos.reduce((all, info) => all + count(info), 0);
  const self = process.cpuUsage();
  const busy = os.cpus().reduce((all, { times }) => all + times.user + times.nice + times.sys, 0) * 1000;
  const servers = sum((info) => Number(info.used_cpu_user) + Number(info.used_cpu_sys)) * 1e6;
  return {
    at: performance.now() * 1000,
    busy,
    own: servers + self.user + self.system,
    commands: sum((info) => Number(info.total_commands_processed)),
    lookups: sum((info) => Number(info.keyspace_hits) + Number(info.keyspace_misses)),
    sets: sum((info) => Number(/calls=(\d+)/.exec(info.cmdstat_set)?.[1] ?? 0)),
    reads: sum((info) => Number(info.total_reads_processed)),
  };
}

/** Machine and versions, for the head of a report. `packages`: names, those of another folder than ours behind it. */
async function describe(lab, packages) {
  const [, redis] = /redis_version:(\S+)/.exec(await lab.controls[0].info('server'));
  const version = (file) => JSON.parse(fs.readFileSync(file, 'utf8')).version;
  const versions = packages.map((each) => {
    if (each === 'holdfast') return `holdfast ${version(path.join(BENCH, '../package.json'))}`;
    const [name, folder = BENCH] = [each].flat();
    return `${name} ${version(path.join(folder, 'node_modules', name, 'package.json'))}`;
  });
  const cpus = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return [
    `${cpus.length} × ${cpus[0].model.trim()}, ${memory} GiB, ${os.type()} ${os.release().split('-')[0]} ${os.arch()}`,
    `Node.js ${process.versions.node}, Redis ${redis} on loopback, ${versions.join(', ')}`,
  ];
}

module.exports = { startLab, ask, end, measure, measureWindow, seed, describe };
