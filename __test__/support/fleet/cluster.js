// Starts a cluster of real nodes on loopback: some primaries, which share the slots, with their replicas.
//
// What a node says of its cluster is news that spreads: after each change the nodes disagree for a while. So whatever
// is asked here waits until all nodes that run agree, and where a test wants what one node believes, it asks that one.
'use strict';

const { ask } = require('./client');
const { RedisServer, answersOf, isLinked, member, replicating, startAll, stopAll, untilFleet } = require('./servers');
const slots = require('./slots');

/** A replica gives up a failover that it was asked for after 5 s; later it may be asked again. */
const FAILOVER_MS = 6_000;

/** Flags of a node that another does not find well, or does not know yet. */
const UNWELL = ['fail?', 'fail', 'handshake', 'noaddr', 'noflags'];

class Node extends RedisServer {
  /** Its name in the cluster; it keeps it when it starts again. */
  id = '';
  /** Which group of a primary and its replicas it is in, counted from 0. */
  shard = 0;

  async start() {
    await super.start();
    this.id = await ask(this, 'CLUSTER', 'MYID');
    return this;
  }
}

/**
 * What a node believes of another, as a line of CLUSTER NODES says it.
 *
 * @typedef {{ id: string, flags: string[], primary: string | null, slots: [number, number][] }} Belief
 */

/** @returns {Belief[]} */
function beliefsIn(text) {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [id, , flags, primary, , , , , ...ranges] = line.split(' ');
    return {
      id,
      flags: flags.split(',').filter((flag) => flag !== 'myself'),
      primary: primary === '-' ? null : primary,
      // Slots on the move are named in brackets behind the others, by the two whom it concerns alone.
      slots: ranges
        .filter((range) => !range.startsWith('['))
        .map((range) => {
          const [first, last = first] = range.split('-').map(Number);
          return [first, last];
        }),
    };
  });
}

class Cluster {
  #settings;

  constructor(settings) {
    this.#settings = settings;
    /** @type {Node[]} The first primaries in the order of their slots, then the replicas. */
    this.nodes = [];
  }

  /** `redis://` or `rediss://` of one of the nodes. */
  url(node = this.nodes[0], parts = {}) {
    return node.url(parts);
  }

  /** The node that owns this key, or the slot of this number, in the eyes of all that run. */
  async ownerOf(keyOrSlot) {
    const slot = typeof keyOrSlot === 'number' ? keyOrSlot : slots.slotOf(keyOrSlot);
    const id = await untilFleet(async () => ownerIn(await this.#agreed(), slot), `slot ${slot} has an owner`);
    return this.#node(id);
  }

  /** The owners of many keys, in their order. */
  async ownersOf(keys) {
    const beliefs = await untilFleet(async () => {
      const agreed = await this.#agreed();
      return agreed && keys.every((key) => ownerIn(agreed, slots.slotOf(key))) && agreed;
    }, 'each key has an owner');
    return keys.map((key) => this.#node(ownerIn(beliefs, slots.slotOf(key))));
  }

  /** The nodes that own slots. */
  async primaries() {
    const beliefs = await untilFleet(() => this.#agreed(), 'the nodes agree');
    return beliefs.filter(({ slots: owned }) => owned.length > 0).map(({ id }) => this.#node(id));
  }

  /** The replicas of a node, away or not. */
  async replicasOf(node) {
    const beliefs = await untilFleet(() => this.#agreed(), 'the nodes agree');
    return beliefs.filter(({ primary }) => primary === node.id).map(({ id }) => this.#node(id));
  }

  /** Waits until another node of the shard has the slots of this one, which has failed, and resolves to it. */
  primaryAfter(old) {
    return untilFleet(() => this.#heirOf(old), 'the shard has another primary');
  }

  /**
   * CLUSTER FAILOVER, until `node`, where it is a replica, or else a replica of it is the primary of the shard in the
   * eyes of all; resolves to that one. `mode`: `FORCE` does not ask the old primary, `TAKEOVER` nobody at all.
   *
   * @param {{ mode?: '' | 'FORCE' | 'TAKEOVER' }} options
   */
  async failover(node, { mode = '' } = {}) {
    const primaries = await this.primaries();
    const old = primaries.find(({ shard }) => shard === node.shard);
    const replica = node === old ? (await this.replicasOf(old)).find(({ running }) => running) : node;
    let asked = -Infinity;
    return untilFleet(async () => {
      const heir = await this.#heirOf(old);
      if (heir) return heir;
      const [role] = await ask(replica, 'ROLE');
      // The others vote for a shard once in twice the node timeout: what was asked for sooner comes to nothing. And on
      // a machine that is busy the old primary can be found unwell and be promoted back before all have heard.
      if (role !== 'master' && Date.now() - asked > FAILOVER_MS) {
        await ask(replica, 'CLUSTER', 'FAILOVER', ...(mode === '' ? [] : [mode]));
        asked = Date.now();
      }
      return false;
    }, 'the replica is the primary of its shard');
  }

  /** Moves a slot with its keys, or, without MIGRATE, lets its old owner delete them; resolves once all agree. */
  async moveSlot(slot, to, { migrate = true } = {}) {
    await this.beginMove(slot, to);
    if (migrate) await this.migrate(slot, to);
    await this.endMove(slot, to);
  }

  /** The first half of a move: ASK and TRYAGAIN, until `endMove` or `cancelMove`. */
  async beginMove(slot, to) {
    await slots.beginMove(slot, await this.ownerOf(slot), to);
  }

  /** Takes these keys, or all of the slot, along to the node that is importing it. */
  async migrate(slot, to, keys) {
    await slots.migrate(slot, await this.ownerOf(slot), to, keys);
  }

  async endMove(slot, to) {
    const from = await this.ownerOf(slot);
    await slots.endMove(slot, from, to, await this.primaries());
    await untilFleet(async () => ownerIn(await this.#agreed(), slot) === to.id, `slot ${slot} has moved`);
    await slots.forgetMove(slot, from, to);
  }

  async cancelMove(slot, to) {
    await slots.forgetMove(slot, await this.ownerOf(slot), to);
  }

  /** Waits until each of these nodes says that the state of the cluster is `ok`, or `fail`. */
  async waitFor(state, nodes = this.#running()) {
    await untilFleet(async () => {
      const answers = await answersOf(nodes, 'CLUSTER', 'INFO');
      const says = ([, text]) => text.startsWith(`cluster_state:${state}\r\n`);
      return answers.length === nodes.length && answers.every(says);
    }, `the state of the cluster is ${state}`);
  }

  /** Waits until all nodes that run know each other, agree and find each other well. */
  async joined() {
    await untilFleet(() => this.#agreed({ well: true }), 'the nodes know each other');
  }

  /** Waits until all nodes that run agree, find each other well, serve all slots, and every replica is linked. */
  async settled() {
    await this.waitFor('ok');
    await untilFleet(async () => {
      const beliefs = (await this.#agreed({ well: true })) || [];
      const known = beliefs.filter(({ id }) => this.#node(id)?.running);
      if (known.length < this.#running().length) return false;
      const replicas = known.filter(({ primary }) => primary !== null);
      const links = replicas.map(({ id, primary }) => isLinked(this.#node(id), this.#node(primary)));
      return (await Promise.all(links)).every(Boolean);
    }, 'the nodes have settled');
  }

  /** A further node, which joins as a replica, or as a primary without slots; `port`: of a node that has left. */
  async add({ port, replicaOf = null } = {}) {
    const node = member(Node, { ...this.#settings, ...(port === undefined ? {} : { port }) });
    const [known] = this.#running();
    await startAll([node]);
    this.nodes.push(node);
    node.shard = replicaOf?.shard ?? Math.max(...this.nodes.map(({ shard }) => shard)) + 1;
    if (known === undefined) return node;
    await ask(known, 'CLUSTER', 'MEET', node.host, node.port);
    await this.joined();
    if (replicaOf !== null) {
      await ask(node, 'CLUSTER', 'REPLICATE', replicaOf.id);
      await this.settled();
    }
    return node;
  }

  /** Makes all others forget a node without slots, away or not; it is no longer one of `nodes`, and runs on. */
  async forget(node) {
    this.nodes = this.nodes.filter((each) => each !== node);
    // Within the minute for which they do not hear of it anew.
    for (const each of this.#running()) await ask(each, 'CLUSTER', 'FORGET', node.id);
  }

  async stop() {
    await stopAll(this.nodes);
  }

  #running() {
    return this.nodes.filter(({ running }) => running);
  }

  #node(id) {
    return this.nodes.find((node) => node.id === id);
  }

  /** The node of the shard that has the slots of this one, in the eyes of all; false where that is still itself. */
  async #heirOf(old) {
    const beliefs = (await this.#agreed()) || [];
    const heir = beliefs.find(({ id, slots: owned }) => owned.length > 0 && this.#node(id)?.shard === old.shard);
    return heir !== undefined && heir.id !== old.id && this.#node(heir.id);
  }

  /**
   * What all nodes that run believe, or false where they do not believe the same; `well`: and where one finds another
   * that runs unwell, or does not know it.
   *
   * @returns {Promise<Belief[] | false>}
   */
  async #agreed({ well = false } = {}) {
    const running = this.#running();
    const answers = await answersOf(running, 'CLUSTER', 'NODES');
    if (answers.length < running.length || answers.length === 0) return false;
    const views = answers.map(([, text]) => beliefsIn(text).sort((a, b) => (a.id < b.id ? -1 : 1)));
    const matter = (view) => JSON.stringify(view.map(({ id, primary, slots: owned }) => [id, primary, owned]));
    if (new Set(views.map(matter)).size > 1) return false;
    const isWell = ({ id, flags }) => !this.#node(id)?.running || !flags.some((flag) => UNWELL.includes(flag));
    const isWhole = (view) => running.every((node) => view.some(({ id }) => id === node.id)) && view.every(isWell);
    return (!well || views.every(isWhole)) && views[0];
  }
}

/** The id of the node that owns a slot; undefined where they disagree or nobody does. */
function ownerIn(beliefs, slot) {
  const owns = ({ slots: owned }) => owned.some(([first, last]) => first <= slot && slot <= last);
  return (beliefs || []).find(owns)?.id;
}

/** Gives each primary its part of the slots, and an epoch of its own, so that they need not argue about one. */
async function share(primaries) {
  const part = slots.SLOTS / primaries.length;
  for (const [n, node] of primaries.entries()) {
    const [first, last] = [Math.round(n * part), Math.round((n + 1) * part) - 1];
    await ask(node, 'CLUSTER', 'ADDSLOTSRANGE', first, last);
    await ask(node, 'CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
  }
}

/**
 * Starts the nodes and waits until they serve. `replicas`: of each primary; `config`: further lines for each node. Less
 * than three primaries cannot vote for a replica whose primary has failed.
 *
 * @param {{ primaries?: number, replicas?: number, password?: string | null, config?: string[],
 *   tls?: { cert: string, key: string, ca?: string } | null, nodeTimeoutMs?: number }} options
 */
async function startCluster({
  primaries: count = 3,
  replicas = 1,
  password = null,
  tls = null,
  config = [],
  nodeTimeoutMs = 1_000,
} = {}) {
  const settings = {
    password,
    tls,
    config: [
      'cluster-enabled yes',
      `cluster-node-timeout ${nodeTimeoutMs}`,
      // A replica stands for election however long it has not heard from its primary.
      'cluster-replica-validity-factor 0',
      ...(tls ? ['tls-cluster yes'] : []),
      ...replicating({ password, tls }),
      ...config,
    ],
  };
  const cluster = new Cluster(settings);
  const nodes = Array.from({ length: count * (1 + replicas) }, () => member(Node, settings));
  await startAll(nodes);
  cluster.nodes = nodes;
  try {
    const primaries = nodes.slice(0, count);
    await share(primaries);
    // All at once and each to each: gossip would take its time.
    const pairs = nodes.flatMap((node, at) => nodes.slice(at + 1).map((other) => [node, other]));
    await Promise.all(pairs.map(([node, other]) => ask(node, 'CLUSTER', 'MEET', other.host, other.port)));
    for (const [n, node] of nodes.entries()) node.shard = n % count;
    await cluster.joined();
    const followers = nodes.slice(count);
    await Promise.all(followers.map((node) => ask(node, 'CLUSTER', 'REPLICATE', primaries[node.shard].id)));
    await cluster.settled();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

module.exports = { startCluster };
