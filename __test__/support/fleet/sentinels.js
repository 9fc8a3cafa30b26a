// Starts a primary with its replicas and the sentinels that watch them, all real, on loopback.
//
// Sentinels tell each other and look at their servers at intervals of seconds, and for 30 s do nothing at all after the
// machine or a test had stopped them for 2 s. SENTINEL DEBUG shortens all of it; what they decide, and in which order,
// stays.
'use strict';

const { ask } = require('./client');
const { RedisServer, answersOf, isLinked, member, replicating, startAll, stopAll, untilFleet } = require('./servers');

/** Parameters of SENTINEL DEBUG. A sentinel that does not know the command, before Redis 7, keeps its own pace. */
const PACE_MS = {
  // Lost connections are dialled again at this pace, too: a sentinel kills its own when it promotes a server, and must
  // not find the new primary down. On the other hand a replica whose INFO is older than five of these is not promoted,
  // and while its primary is down it is asked once a second.
  'ping-period': 350,
  'info-period': 400,
  'ask-period': 200,
  // A sentinel makes a replica of a server that has called itself a primary for four of these. Who leads a failover
  // looks at the server that it promotes once a second, and must have told the others by then.
  'publish-period': 500,
  'tilt-period': 500,
};

/** Flags of what a sentinel does not find well, or is at work on. */
const UNWELL = ['s_down', 'o_down', 'disconnected', 'failover_in_progress'];

class Sentinel extends RedisServer {
  async start() {
    await super.start();
    await this.#hurry();
    return this;
  }

  /** With what it knew: a sentinel writes that into its file. */
  async restart() {
    await super.restart();
    await this.#hurry();
  }

  async #hurry() {
    await ask(this, 'SENTINEL', 'DEBUG', ...Object.entries(PACE_MS).flat()).catch((error) => {
      if (!/subcommand/i.test(error.message)) throw error;
    });
  }
}

class Sentinels {
  constructor(name, servers, sentinels) {
    /** The name of the primary, as the sentinels are asked for it. */
    this.name = name;
    /** The primary of the beginning and its replicas. */
    this.servers = servers;
    this.sentinels = sentinels;
  }

  /** The server that all sentinels name that run; waits until they agree. */
  primary() {
    return untilFleet(() => this.#named(), 'the sentinels agree on a primary');
  }

  /** Waits until the sentinels name another primary than this one, which has failed, and resolves to it. */
  primaryAfter(old) {
    return untilFleet(async () => {
      const server = await this.#named();
      return server !== old && server;
    }, 'the sentinels name another primary');
  }

  /** Asks for a failover, as an operator does, and waits until all sentinels name the new primary. */
  async failover() {
    const old = await this.settled();
    const [sentinel] = this.#running();
    await untilFleet(async () => {
      const { port, flags } = await ask(sentinel, 'SENTINEL', 'MASTER', this.name);
      if (Number(port) !== old.port) return true;
      // It may be given up, where the machine was too busy.
      if (!flags.includes('failover_in_progress')) await this.#beginFailover(sentinel);
      return false;
    }, 'a sentinel has failed over');
    return this.primaryAfter(old);
  }

  async #beginFailover(sentinel) {
    await ask(sentinel, 'SENTINEL', 'FAILOVER', this.name).catch((error) => {
      // It has not looked at the replicas since the one before.
      if (!error.message.startsWith('NOGOODSLAVE')) throw error;
    });
  }

  /**
   * Waits until nothing is left to be done: all that run are well in the eyes of all sentinels that run, and every
   * server but the primary is its replica and linked to it. Resolves to the primary.
   */
  settled() {
    return untilFleet(async () => {
      const primary = await this.#named();
      if (!primary?.running) return false;
      const replicas = this.servers.filter((server) => server.running && server !== primary);
      const links = await Promise.all(replicas.map((server) => isLinked(server, primary)));
      const views = this.#running().map((sentinel) => this.#seesAllWell(sentinel, primary, replicas));
      return links.every(Boolean) && (await Promise.all(views)).every(Boolean) && primary;
    }, 'the sentinels and their servers have settled');
  }

  async stop() {
    // Those that watch first: else they would begin a failover.
    await stopAll(this.sentinels);
    await stopAll(this.servers);
  }

  #running() {
    return this.sentinels.filter(({ running }) => running);
  }

  async #named() {
    const answers = await answersOf(this.#running(), 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name);
    const ports = new Set(answers.map(([, address]) => Number(address?.[1])));
    return answers.length > 0 && ports.size === 1 && this.servers.find(({ port }) => ports.has(port));
  }

  async #seesAllWell(sentinel, primary, replicas) {
    const [about, slaves, sentinels] = await Promise.all(
      ['MASTER', 'REPLICAS', 'SENTINELS'].map((what) => ask(sentinel, 'SENTINEL', what, this.name).catch(() => null)),
    );
    if (!about || !slaves || !sentinels) return false;
    const others = this.#running().filter((each) => each !== sentinel);
    const follows = (replica) =>
      replica['role-reported'] === 'slave' &&
      replica['master-port'] === about.port &&
      replica['master-link-status'] === 'ok';
    const sees = (known, { port }) => known.find((each) => Number(each.port) === port);
    const isWell = (seen) => seen && !seen.flags.split(',').some((flag) => UNWELL.includes(flag));
    return (
      isWell(sees([about], primary)) &&
      others.every((other) => isWell(sees(sentinels, other))) &&
      replicas.map((replica) => sees(slaves, replica)).every((seen) => isWell(seen) && follows(seen))
    );
  }
}

/**
 * Starts them and waits until all sentinels know each other and the replicas. `config`: further lines of the servers.
 *
 * @param {{ sentinels?: number, replicas?: number, name?: string, password?: string | null,
 *   sentinelPassword?: string | null, tls?: { cert: string, key: string, ca?: string } | null, config?: string[],
 *   downAfterMs?: number, failoverTimeoutMs?: number }} options
 */
async function startSentinels({
  sentinels: count = 3,
  replicas = 1,
  name = 'mymaster',
  password = null,
  sentinelPassword = null,
  tls = null,
  config = [],
  downAfterMs = 800,
  failoverTimeoutMs = 3_000,
} = {}) {
  const server = (lines) =>
    member(RedisServer, { password, tls, config: [...replicating({ password, tls }), ...lines, ...config] });
  const primary = server([]);
  await startAll([primary]);
  const servers = [
    primary,
    ...Array.from({ length: replicas }, () => server([`replicaof ${primary.host} ${primary.port}`])),
  ];
  const watching = [
    `sentinel monitor ${name} ${primary.host} ${primary.port} ${Math.floor(count / 2) + 1}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} ${failoverTimeoutMs}`,
    ...(password === null ? [] : [`sentinel auth-pass ${name} ${password}`]),
    ...(sentinelPassword === null ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
    ...(tls ? ['tls-replication yes'] : []),
  ];
  const sentinels = Array.from({ length: count }, () =>
    member(Sentinel, { password: sentinelPassword, tls, config: watching, args: ['--sentinel'] }),
  );
  const started = [primary];
  try {
    await startAll(servers.slice(1));
    started.push(...servers.slice(1));
    // A sentinel that finds the replicas at its first look need not wait for its next.
    await untilFleet(
      async () => (await Promise.all(servers.slice(1).map((each) => isLinked(each, primary)))).every(Boolean),
      'the replicas are linked',
    );
    await startAll(sentinels);
    started.push(...sentinels);
    const fleet = new Sentinels(name, servers, sentinels);
    await fleet.settled();
    return fleet;
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

module.exports = { startSentinels };
