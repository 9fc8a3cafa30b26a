// Owns the watch over a fleet: who is a primary, since when, and what its predecessor may have taken with it.
//
// **The problem.** Replication is asynchronous: what a primary has acknowledged and not yet sent on is lost when
// another takes its place. The judge must allow that, and nothing else, so it has to know where the line is.
//
// **The approach.** Every few milliseconds each primary is asked for its replication offset. A reply says: what was
// acknowledged before the question was sent is within this offset. Whoever is promoted remembers at which offset of
// its predecessor it was then (`second_repl_offset`). So the last question whose answer lies within that offset is the
// line: what was acknowledged before it is on the new primary, what came later may be lost. Markers among the keys
// would say the same, but FLUSHALL takes them away.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { Wire } = require('../wire');

const FIELD = /^(role|master_repl_offset|second_repl_offset|master_port):(\S+)\r?$/gm;

class Watch {
  #paceMs;
  #over = false;
  #wires = new Set();
  /** By server: what was last seen of it, and as a primary its offsets as `[sent, offset]`. */
  #seen = new Map();
  #primaries;
  #promotions = [];

  /** @param {object[][]} shards @param {object[]} firsts the primary of each */
  constructor(shards, firsts, paceMs) {
    this.shards = shards;
    this.#primaries = [...firsts];
    this.#paceMs = paceMs;
  }

  /** Resolves once all have answered that can. */
  async start() {
    const first = this.shards.flatMap((servers, shard) =>
      servers.map((server) => {
        this.#seen.set(server, { role: null, offsets: [] });
        return new Promise((resolve) => this.#follow(server, shard, resolve));
      }),
    );
    await Promise.all(first);
  }

  stop() {
    this.#over = true;
    for (const wire of this.#wires) wire.close();
  }

  primaryOf(shard) {
    return this.#primaries[shard];
  }

  async #follow(server, shard, looked) {
    let wire = null;
    while (!this.#over) {
      const sent = process.hrtime.bigint();
      try {
        wire ??= await this.#open(server);
        this.#note(server, shard, sent, await wire.command('INFO', 'replication'));
      } catch {
        wire?.close();
        wire = null;
      }
      looked();
      await sleep(this.#paceMs);
    }
    wire?.close();
  }

  async #open(server) {
    const wire = await Wire.open(server.socket);
    this.#wires.add(wire);
    if (this.#over) wire.close();
    return wire;
  }

  #note(server, shard, sent, text) {
    const info = Object.fromEntries([...text.matchAll(FIELD)].map(([, name, value]) => [name, value]));
    const seen = this.#seen.get(server);
    if (info.role === 'master') {
      if (seen.role === 'slave') this.#promoted(server, shard, seen, Number(info.second_repl_offset) - 1);
      seen.offsets.push([sent, Number(info.master_repl_offset)]);
    }
    Object.assign(seen, { role: info.role, follows: Number(info.master_port), sent });
  }

  #promoted(server, shard, seen, offset) {
    const old = this.shards[shard].find(({ port }) => port === seen.follows) ?? this.#primaries[shard];
    const kept = this.#seen.get(old).offsets.filter(([, theirs]) => theirs <= offset);
    this.#promotions.push({
      shard,
      server: server.port,
      // It was a replica yet when it was last asked before.
      after: seen.sent,
      safe: kept.length > 0 ? kept.at(-1)[0] : null,
    });
    this.#primaries[shard] = server;
  }

  /** Who became the primary of a shard after which moment; what its predecessor acknowledged before `safe`, it has. */
  promotions(base) {
    const at = (time) => Number(time - base);
    return this.#promotions.map((each) => ({
      ...each,
      after: at(each.after),
      // The schedule began with all that was there before it on all servers.
      safe: each.safe === null ? 0 : at(each.safe),
    }));
  }
}

module.exports = { Watch };
