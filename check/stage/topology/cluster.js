// Owns the topology of a cluster: three primaries with a replica each.
//
// Each process reaches the nodes by a network of its own, at an address of the loopback of its own (127.0.0.2,
// 127.0.0.3; Linux has them all): the nodes are told to keep their hosts to themselves
// (`cluster-preferred-endpoint-type`), so MOVED and CLUSTER SLOTS name ports, and a client stays with the host that it
// dialled.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { startCluster } = require('../../../__test__/support/fleet/cluster');
const { SLOTS, slotOf } = require('../../../__test__/support/fleet/slots');
const { Network, Networks } = require('../network');
const { Servers } = require('./servers');

const TOKEN = '\0tag\0';
/** While a server is away a process asks the others for their slots five times a second. */
const HEARD_MS = 500;
/** A call that no node has executed is tried anew so much later. */
const AGAIN_MS = 20;

class Cluster extends Servers {
  #cluster;
  #hurt = false;
  #owners = new Array(SLOTS);
  #namespace = '';
  #story = {};
  #now = () => 0;

  /** @param {string[]} processes */
  static async start(processes) {
    const config = ['cluster-preferred-endpoint-type unknown-endpoint', 'hz 100'];
    const fleet = await startCluster({ replicas: 1, config });
    const shards = [0, 1, 2].map((shard) => fleet.nodes.filter((node) => node.shard === shard));
    const cluster = new Cluster(shards);
    cluster.#cluster = fleet;
    for (const [nth, process] of processes.entries()) {
      const listen = ({ host, port }) => new Network({ host, port }, { host: `127.0.0.${nth + 2}`, port }).listen();
      cluster.networks[process] = new Networks(await Promise.all(fleet.nodes.map(listen)));
    }
    return cluster;
  }

  optionsOf(process, user) {
    const node = this.firsts[0];
    const { place } = this.networks[process].parts.find(({ target }) => target.port === node.port);
    return { url: `redis://${user ? `${user.name}:${user.password}@` : ''}${place}` };
  }

  /** Which servers are of which shard, by port: so the processes tell what they think of each. */
  get places() {
    return Object.fromEntries(this.shards.flatMap((nodes, shard) => nodes.map(({ port }) => [port, shard])));
  }

  /** A command of several keys is one of each. */
  async run(args) {
    const [name, ...keys] = args;
    if (name !== 'DEL' || keys.length < 2) return super.run(args);
    const servers = {};
    let reply = 0;
    for (const key of keys) {
      const each = await super.run([name, key]);
      reply += each.reply;
      Object.assign(servers, each.servers);
    }
    return { reply, servers };
  }

  serverFor(key) {
    return this.#owners[slotOf(key)];
  }

  shardOf(server) {
    return this.shards.findIndex((nodes) => nodes.includes(server));
  }

  /** MOVED, ASK, and what says that nothing was executed. */
  async turns({ message }, server, args) {
    const [, way, slot, port] = /^(MOVED|ASK) (\d+) \S*?:(\d+)/.exec(message) ?? [];
    const target = this.#cluster.nodes.find((node) => node.port === Number(port));
    if (way === 'ASK') return { ...(await this.#asked(target, args)) };
    if (way === 'MOVED') this.#owners[slot] = target;
    else if (/^CLUSTERDOWN|^TRYAGAIN|ECONNREFUSED|ENOENT/.test(message)) {
      await sleep(AGAIN_MS);
      await this.#learn(server).catch(() => {});
    } else return false;
    return true;
  }

  async #asked(target, args) {
    const [, reply] = await this.askInOrder(target, [['ASKING'], args]);
    return { reply, servers: { [this.shardOf(target)]: target.port } };
  }

  /** Who serves which slot, from any node but this one. */
  async #learn(unsaid) {
    const node = this.#cluster.nodes.find((each) => each.running && each !== unsaid);
    for (const [first, last, [, port]] of await this.ask(node, ['CLUSTER', 'SLOTS'])) {
      const owner = this.#cluster.nodes.find((each) => each.port === port);
      this.#owners.fill(owner, first, last + 1);
    }
  }

  async heal() {
    if (!this.#hurt) return;
    this.#hurt = false;
    await this.#cluster.settled();
    const primaries = await this.#cluster.primaries();
    this.firsts = this.shards.map((nodes) => nodes.find((node) => primaries.includes(node)));
  }

  async replicated() {
    for (const primary of this.firsts) while ((await this.ask(primary, ['WAIT', 1, 500])) < 1) await sleep(AGAIN_MS);
  }

  #stored(name, tags) {
    return `${this.#namespace}:${tags.includes(name) ? TOKEN : ''}${name}`;
  }

  /** Before the keys of a schedule are written. */
  async prepare(plan, namespace, now) {
    this.#namespace = namespace;
    this.#now = now;
    await this.#learn(null);
    const names = [...plan.keys, ...plan.counters, ...plan.tags];
    const slots = Object.fromEntries(names.map((name) => [name, slotOf(this.#stored(name, plan.tags))]));
    const of = Object.fromEntries(names.map((name) => [name, [this.shardOf(this.#owners[slots[name]])]]));
    this.#story = { firsts: this.firsts.map(({ port }) => port), of, moves: [] };
    for (const { kind, key, nth } of plan.faults) {
      if (!MOVES.includes(kind) || !(key in slots)) continue;
      const moving = names.filter((name) => slots[name] === slots[key]);
      const to = (of[key][0] + 1 + (nth % 2)) % this.shards.length;
      for (const name of moving) of[name] = [...of[name], to];
      this.#story.moves.push({ slot: slots[key], names: moving, to, keys: kind !== 'drop', from: null, till: null });
    }
  }

  story(base) {
    const promotions = super.story(base);
    if (promotions.length > 0) this.#hurt = true;
    const shardOf = this.places;
    return { ...this.#story, promotions, shardOf };
  }

  hasDropped(key) {
    return this.#story.moves.some(({ slot, keys, from }) => !keys && from !== null && slot === slotOf(key));
  }

  #owner(key) {
    return this.serverFor(`${this.#namespace}:${key}`);
  }

  async #replace(key, replace) {
    const old = this.#owner(key);
    this.#hurt = true;
    await replace(old);
    await this.#cluster.settled();
  }

  #away(ways) {
    return (old) => this.fall(old, { replaced: () => this.#cluster.primaryAfter(old), ...ways });
  }

  async #move(wait, ways) {
    const [move] = this.#story.moves;
    if (!move) return;
    this.#hurt = true;
    const to = this.primaries()[move.to];
    move.from = this.#now();
    await this.#cluster.beginMove(move.slot, to);
    await ways(move.slot, to, wait);
    await this.#cluster.endMove(move.slot, to);
    move.till = this.#now();
  }

  faults = {
    /** The primary of a key dies, and comes back empty, as a replica, once another has taken its place. */
    die: (_pool, { key }) =>
      this.#replace(key, this.#away({ go: (old) => old.kill('SIGKILL'), back: (old) => old.restart() })),
    /** It stands still until another has taken its place, and goes on as if nothing had happened. */
    hang: (_pool, { key }) =>
      this.#replace(key, this.#away({ go: (old) => old.kill('SIGSTOP'), back: (old) => old.kill('SIGCONT') })),
    promote: (_pool, { key }) => this.#replace(key, (old) => this.#cluster.failover(old)),
    /** Without asking the old primary, which goes on taking writes until it hears of it; or without asking anybody. */
    force: (_pool, { key }) => this.#replace(key, (old) => this.#cluster.failover(old, { mode: 'FORCE' })),
    takeover: (_pool, { key }) => this.#replace(key, (old) => this.#cluster.failover(old, { mode: 'TAKEOVER' })),
    /** A slot moves with its keys. */
    move: () => this.#move(0, (slot, to) => this.#cluster.migrate(slot, to)),
    /** A slot is on its way for a while, before and behind the moment when its keys are. */
    half: (_pool, fault) =>
      this.#move(fault.for, async (slot, to, wait) => {
        await sleep(wait);
        await this.#cluster.migrate(slot, to);
        await sleep(wait);
        await this.#cluster.migrate(slot, to);
      }),
    /** A slot moves and its keys do not: its old owner deletes them. */
    drop: (_pool, fault) => this.#move(fault.for, (_slot, _to, wait) => sleep(wait / 2)),
    /** A slot moves with its keys while a process does not reach its owner, until that process has heard of it. */
    behind: async (_pool, { key, nth, for: wait }) => {
      const owner = this.#owner(key);
      const parts = Object.values(this.networks)[nth % 2].parts.filter(({ target }) => target.port === owner.port);
      for (const part of parts) part.hold(true);
      await sleep(wait);
      await this.#move(0, (slot, to) => this.#cluster.migrate(slot, to));
      await sleep(HEARD_MS);
      for (const part of parts) part.release();
    },
  };

  async stop() {
    await super.stop();
    await this.#cluster.stop();
  }
}

/** Faults that move a slot. */
const MOVES = ['move', 'half', 'drop', 'behind'];

module.exports = { Cluster };
