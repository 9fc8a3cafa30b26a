// Owns what the topologies have in common: how a foreign client and the checker itself talk to the servers, each of
// which may be stopped, dead or another's replica by now.
'use strict';

const { Wire } = require('../wire');
const { Watch } = require('./watch');

/** How long the foreign client waits for a server that is stopped; and how often for so long for one that runs. */
const FOREIGN_MS = 1_000;
const WAITS = 30;
/** How often a foreign client follows a redirect, or asks anew who is the primary. */
const TRIES = 5;
/** Between two looks at promotions: who is to fail in this schedule is looked at closely. */
const CLOSE_MS = 4;
const WIDE_MS = 25;

class Servers {
  /** @type {Map<object, Promise<Wire>>} */
  #wires = new Map();
  /** @type {{ [process: string]: import('../network').Networks }} */
  networks = {};
  /** Faults that only this topology has, as those of faults.js. */
  faults = {};
  #watch = null;
  /** Servers that are away until another has their place: no other fault wakes them. */
  fallen = new Set();
  /** Of this schedule, where its only server ended and started anew: `{ down, up, snapshot }`. */
  restarts = [];

  /** @param {object[][]} shards servers of which one is the primary, and the others may become it */
  constructor(shards) {
    this.shards = shards;
    this.firsts = shards.map(([first]) => first);
  }

  /** A call of a foreign client: the reply, and which server of which shard gave it. */
  async run(args) {
    for (let left = TRIES; ; left--) {
      const server = this.serverFor(keyOf(args));
      try {
        return { reply: await this.ask(server, args), servers: { [this.shardOf(server)]: server.port } };
      } catch (error) {
        const turned = left > 0 && (await this.turns(error, server, args));
        if (!turned) throw error;
        if (turned !== true) return turned;
      }
    }
  }

  async command(...args) {
    return (await this.run(args)).reply;
  }

  /** The same of all primaries, as one call of a foreign client. */
  async runEverywhere(args) {
    const primaries = this.primaries();
    const replies = await Promise.all(primaries.map((server) => this.ask(server, args)));
    return { reply: replies[0], servers: Object.fromEntries(primaries.map(({ port }, shard) => [shard, port])) };
  }

  /** Every server, primary or not: what each keeps for itself. */
  async everyServer(...args) {
    await Promise.all(this.shards.flat().map((server) => this.ask(server, args)));
  }

  /** The servers end the connections of the processes, and of nobody else. */
  async killClients() {
    const kills = Object.values(this.networks).flatMap(({ parts }) =>
      parts.flatMap((part) => {
        const server = this.shards.flat().find(({ port }) => port === part.target.port);
        return server ? part.addresses().map((address) => this.ask(server, ['CLIENT', 'KILL', 'ADDR', address])) : [];
      }),
    );
    // Some are gone already, and so may be the server.
    await Promise.allSettled(kills);
  }

  /** A server goes in this way, and comes back in that one once another has taken its place. */
  async fall(server, { go, replaced, back }) {
    this.fallen.add(server);
    await go(server);
    await replaced(server);
    this.fallen.delete(server);
    await back(server);
  }

  /** One command to one server; rejects where that does not answer in time. */
  async ask(server, args) {
    return (await this.askInOrder(server, [args])).at(-1);
  }

  /** The same with nothing of others in between. */
  async askInOrder(server, commands) {
    const wire = await this.#wireTo(server);
    let waits = 0;
    // One that runs has only not come to it yet, on a busy machine.
    const isLost = () => !server.running || this.fallen.has(server) || ++waits === WAITS;
    const timer = setInterval(() => isLost() && wire.close(), FOREIGN_MS);
    try {
      return await Promise.all(commands.map((args) => wire.command(...args)));
    } finally {
      clearInterval(timer);
    }
  }

  async #wireTo(server) {
    const open = await this.#wires.get(server)?.catch(() => null);
    if (open && !open.closed) return open;
    const wire = Wire.open(server.socket);
    this.#wires.set(server, wire);
    return wire;
  }

  /**
   * Whether a call that failed is worth another try, elsewhere: only where it was certainly not executed. Or what came
   * of that try.
   *
   * @returns {Promise<boolean | { reply: any, servers: object }>}
   */
  async turns(_error, _server, _args) {
    return false;
  }

  primaries() {
    return this.shards.map((_, shard) => this.#watch?.primaryOf(shard) ?? this.firsts[shard]);
  }

  /** @param {string} _key */
  serverFor(_key) {
    return this.primaries()[0];
  }

  shardOf(_server) {
    return 0;
  }

  /** Which servers are of which shard, by port, where there are several shards. */
  get places() {
    return undefined;
  }

  /** Whether a key went in this schedule as its slot moved without its keys, whosever it was. */
  hasDropped(_key) {
    return false;
  }

  /** Before a schedule: all is well, whatever the one before it did. */
  async heal() {}

  /** Before the first keys of a schedule are written. */
  async prepare(_plan, _namespace, _now) {}

  /** Resolves once the replicas have what was written. */
  async replicated() {}

  async begin(plan) {
    this.#watch = new Watch(this.shards, this.firsts, plan.falls ? CLOSE_MS : WIDE_MS);
    await this.#watch.start();
  }

  /** What the judge has to know of the fleet; times are counted from `base`. */
  story(base) {
    const promotions = this.#watch.promotions(base);
    this.firsts = this.primaries();
    this.#watch.stop();
    this.#watch = null;
    return promotions;
  }

  async stop() {
    this.#watch?.stop();
    for (const wire of this.#wires.values()) wire.then((open) => open.close()).catch(() => {});
    for (const network of Object.values(this.networks)) network.stop();
  }
}

/** The key of a command, of those that a checker sends. */
function keyOf([name, ...args]) {
  return name === 'EVAL' ? args[2] : args[0];
}

module.exports = { Servers };
