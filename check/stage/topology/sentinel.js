// Owns the topology of a primary and its replica behind three sentinels. Each process reaches all five by a network of
// its own: the sentinels' answers are mapped to it (`addressMap`), so that faults of the network befall questions and
// calls alike.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { startSentinels } = require('../../../__test__/support/fleet/sentinels');
const { isLinked } = require('../../../__test__/support/fleet/servers');
const { Network, Networks } = require('../network');
const { Servers } = require('./servers');

/** A server that is stopped for longer than this is down: longer than `stop` of a schedule lasts. */
const DOWN_AFTER_MS = 500;

const placeOf = ({ host, port }) => `${host}:${port}`;

class Sentinel extends Servers {
  #fleet;
  /** The sentinels of all processes, as networks: what they say passes there. */
  #watchers;
  /** Whether something has befallen the fleet since it was last well. */
  #hurt = false;
  /** The primary with which the schedule began. */
  #first = 0;

  /** @param {string[]} processes */
  static async start(processes) {
    const fleet = await startSentinels({ downAfterMs: DOWN_AFTER_MS, config: ['hz 100'] });
    const sentinel = new Sentinel([fleet.servers]);
    sentinel.#fleet = fleet;
    sentinel.#watchers = fleet.sentinels.map(() => []);
    for (const process of processes) await sentinel.#connect(process);
    return sentinel;
  }

  async #connect(process) {
    const { servers, sentinels } = this.#fleet;
    const open = ({ host, port }) => new Network({ host, port }).listen();
    const parts = await Promise.all([...servers, ...sentinels].map(open));
    this.networks[process] = new Networks(parts);
    for (const [nth, part] of parts.slice(servers.length).entries()) this.#watchers[nth].push(part);
  }

  optionsOf(process, user) {
    const { parts } = this.networks[process];
    const nodes = parts.slice(this.#fleet.servers.length).map(({ place }) => place);
    const addressMap = Object.fromEntries(parts.map(({ target, place }) => [placeOf(target), place]));
    return {
      sentinel: { nodes, name: this.#fleet.name, addressMap },
      ...(user ? { username: user.name, password: user.password } : {}),
    };
  }

  /** A server that is a replica by now, or gone, has not executed the call. */
  async turns({ message }) {
    if (!/^READONLY|ECONNREFUSED|ENOENT/.test(message)) return false;
    await sleep(5);
    return true;
  }

  async heal() {
    if (!this.#hurt) return;
    this.#hurt = false;
    const primary = await this.#fleet.settled();
    this.firsts = [primary];
  }

  async replicated() {
    const [primary] = this.firsts;
    const [replica] = this.#fleet.servers.filter((server) => server !== primary);
    while (!(await isLinked(replica, primary)) || (await this.ask(primary, ['WAIT', 1, 500])) < 1) await sleep(20);
  }

  story(base) {
    const promotions = super.story(base);
    const contacts = Object.fromEntries(
      Object.entries(this.networks).map(([process, { parts }]) => [
        process,
        parts
          .slice(0, this.#fleet.servers.length)
          .flatMap(({ target, opened }) => opened.splice(0).map((at) => [Number(at - base), 0, target.port]))
          .sort(([x], [y]) => x - y),
      ]),
    );
    if (promotions.length > 0) this.#hurt = true;
    return { firsts: [this.#first], promotions, contacts };
  }

  async begin(plan) {
    this.#first = this.firsts[0].port;
    for (const { parts } of Object.values(this.networks)) for (const part of parts) part.opened.length = 0;
    await super.begin(plan);
  }

  /** From now on what passes these networks names this server alone; null: what is meant. */
  #twist(networks, named) {
    const ports = this.#fleet.servers.map(({ port }) => `\r\n${port}\r\n`);
    const name = (text, port) => text.replaceAll(port, `\r\n${named.port}\r\n`);
    const lie = (reply) => Buffer.from(ports.reduce(name, reply.toString('latin1')), 'latin1');
    for (const network of networks) network.twist(named && lie);
  }

  async #replace(ways) {
    const [old] = this.primaries();
    this.#hurt = true;
    await this.fall(old, { replaced: () => this.#fleet.primaryAfter(old), ...ways });
    await this.#fleet.settled();
  }

  faults = {
    /** The primary dies, and comes back empty once another has taken its place. */
    die: () => this.#replace({ go: (old) => old.kill('SIGKILL'), back: (old) => old.restart() }),
    /** The primary stands still until another has taken its place, and goes on as if nothing had happened. */
    hang: () => this.#replace({ go: (old) => old.kill('SIGSTOP'), back: (old) => old.kill('SIGCONT') }),
    /** An operator wants another primary. */
    promote: async () => {
      this.#hurt = true;
      await this.#fleet.failover();
      await this.#fleet.settled();
    },
    /** A sentinel names the same server all the time, primary or not. */
    lie: (_pool, { nth }) => {
      const { servers } = this.#fleet;
      const networks = this.#watchers[nth % this.#watchers.length];
      this.#twist(networks, servers[nth % servers.length]);
      return () => this.#twist(networks, null);
    },
    /** All sentinels name the replica, which takes writes for once, to a process that has to look for its server. */
    mislead: async (_pool, { process, for: lasts }) => {
      const replica = this.#fleet.servers.find((server) => server !== this.primaries()[0]);
      const takesWrites = (yes) => this.ask(replica, ['CONFIG', 'SET', 'replica-read-only', yes ? 'no' : 'yes']);
      await takesWrites(true);
      for (const networks of this.#watchers) this.#twist(networks, replica);
      this.networks[process].cut();
      await sleep(lasts);
      for (const networks of this.#watchers) this.#twist(networks, null);
      await takesWrites(false);
    },
    /** A sentinel stands still: it answers nobody, and is behind the others when it goes on. */
    mute: (_pool, { nth }) => {
      const sentinel = this.#fleet.sentinels[nth % this.#fleet.sentinels.length];
      this.#hurt = true;
      sentinel.kill('SIGSTOP');
      return () => sentinel.kill('SIGCONT');
    },
  };

  async stop() {
    await super.stop();
    await this.#fleet.stop();
  }
}

module.exports = { Sentinel };
