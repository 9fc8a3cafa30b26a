// Owns what the judge knows of several servers: which of them a call went to, and what of it a failover may lose.
//
// **The rule.** A shard's primaries follow each other: each one *reigns* from its promotion on. What a primary has
// acknowledged is with its successor if it was acknowledged before the last look at the replication offset that the
// successor had when it was promoted (check/stage/topology/watch.js). What came later may be lost, deletes among it,
// and so may all that the old primary acknowledges after that: it may go on for a while. No reign loses anything of its
// own, and none gives back what it never had. So a change that was acknowledged in one reign is demanded of a reader
// who was with the same reign, or with a later one which certainly had it.
//
// **Who was where.** Behind sentinels the networks know which server a process was connected to. In a cluster the
// process says so itself, of each shard.
'use strict';

/** @typedef {{ server: number, after: number, safe: number }} Reign */

class Fleet {
  #of;
  /** @type {Reign[][]} by shard */
  #reigns;
  /** By process and shard, `[at, server]` in the order of time. */
  #contacts = new Map();

  /** @param {{ story: any, ops: any[], processOf: { [place: string]: string } }} history */
  constructor({ story, ops, processOf }) {
    this.#of = story.of ?? null;
    this.moves = story.moves ?? [];
    this.promotions = story.promotions;
    this.#reigns = story.firsts.map((server, shard) => [
      { server, after: -Infinity, safe: Infinity },
      ...story.promotions.filter((each) => each.shard === shard),
    ]);
    for (const [process, links] of Object.entries(story.contacts ?? {})) {
      for (const [at, shard, server] of links) this.#met(process, shard, at, server);
    }
    if (this.#of !== null) for (const op of ops) this.#listen(op, processOf[op.place]);
    for (const contacts of this.#contacts.values()) contacts.sort(([x], [y]) => x - y);
  }

  #met(process, shard, at, server) {
    const key = `${process}:${shard}`;
    const contacts = this.#contacts.get(key) ?? [];
    contacts.push([at, server]);
    this.#contacts.set(key, contacts);
  }

  #listen({ before, after, start, end }, process) {
    for (const [state, at] of [
      [before, start],
      [after, end],
    ]) {
      for (const [shard, servers] of (state?.[2] ?? []).entries()) {
        for (const [server, mode] of servers) if (mode === 'redis') this.#met(process, shard, at, server);
      }
    }
  }

  /** The shards that a name of the schedule is in, one, or two where its slot moves; as a text. */
  groupOf(name) {
    return this.#of === null ? '0' : (this.#of[name] ?? [0]).join();
  }

  get groups() {
    return this.#of === null ? ['0'] : [...new Set(Object.values(this.#of).map((shards) => shards.join()))];
  }

  /** Which groups a node of the fleet matters to. */
  isOf(group, shard) {
    return group.split(',').includes(`${shard}`);
  }

  /** The state of a process, as far as it concerns these shards: a mode and what tells it from another one. */
  view(state, group) {
    if (this.#of === null || !state?.[2]) return state;
    const servers = group.split(',').flatMap((shard) => state[2][shard].map((server) => [shard, ...server]));
    const modes = new Set(servers.map(([, , mode]) => mode));
    return [modes.size === 1 ? [...modes][0] : 'mixed', servers.join(';')];
  }

  /**
   * A call as its parts, one for each name, as each server takes its own: a cluster has no call that happens everywhere
   * at once.
   */
  partsOf(op, names) {
    if (this.#of === null) return [Object.assign(op, { group: '0' })];
    return this.#namesOf(op, names).map((name, i) => {
      const group = this.groupOf(op.of ?? name);
      const part = { ...op, whole: op, group, before: this.view(op.before, group), after: this.view(op.after, group) };
      if (op.keys) Object.assign(part, { keys: [name], result: Array.isArray(op.result) ? [op.result[i]] : op.result });
      if (op.op === 'sweep' || op.op === 'flush') part.only = name;
      if (op.runs) {
        const runs = op.runs.filter(({ key }) => key === name);
        const seen = (state) => this.view(state, group);
        part.runs = runs.map((run) => ({
          ...run,
          before: seen(run.before),
          after: seen(run.after),
          settled: seen(run.settled),
        }));
      }
      return part;
    });
  }

  #namesOf({ op, keys, key, tag }, names) {
    if (op === 'sweep' || op === 'flush') return names;
    if (op === 'invalidate') return [tag];
    return keys ?? [key];
  }

  /** Whether a change is certainly known to whoever this call was answered by. */
  reaches(change, read, backOf) {
    if (this.promotions.length === 0) return true;
    return change.group.split(',').every((shard) => {
      const reigns = this.#reigns[shard];
      const audiences = this.#audiences(read, shard);
      const heard =
        ([reign, by]) =>
        (other) => {
          if (other === reign) return true;
          // In its own process a change holds whatever it was connected to before.
          if (other < reign) return change.process === read.process;
          return reigns.slice(reign + 1, other + 1).every(({ safe }) => by < safe);
        };
      return this.#landings(change, shard, backOf).every((landing) => audiences.every(heard(landing)));
    });
  }

  /**
   * In which reign a change took effect for good, and by when: one of an outage does so when its process is back. One
   * that is unknown did either: the primary of then may have acknowledged it a moment before the outage was noticed.
   */
  #landings(change, shard, backOf) {
    if (change.where === 'redis')
      return [[this.#reignOf(this.#serverOf(change, shard), shard, change.end), change.end]];
    const back = change.end === null ? Infinity : backOf(change, change.end);
    const contacts = this.#contacts.get(`${change.process}:${shard}`) ?? [];
    const at = (moment) => [this.#reignOf(contacts.findLast(([since]) => since <= moment)?.[1], shard, moment), moment];
    return change.where === 'unknown' && change.end !== null ? [at(change.end), at(back)] : [at(back)];
  }

  /** The reigns that a call may have heard: that of its server, or without one all that its process has known. */
  #audiences(read, shard) {
    if (read.where === 'redis') {
      const server = this.#serverOf(read, shard);
      if (server !== undefined) return [this.#reignOf(server, shard, read.end)];
    }
    const known = (this.#contacts.get(`${read.process}:${shard}`) ?? []).filter(([at]) => at <= read.end);
    return [...new Set(known.map(([at, server]) => this.#reignOf(server, shard, Math.max(at, read.start))))];
  }

  /** How many changes that a primary acknowledged its successors may not have. */
  losable(ends) {
    const count = ({ op }) =>
      op.where === 'redis' &&
      op.group.split(',').some((shard) => {
        const reign = this.#reignOf(this.#serverOf(op, shard), shard, op.end);
        return this.#reigns[shard].slice(reign + 1).some(({ safe }) => op.end >= safe);
      });
    return this.promotions.length === 0 ? 0 : ends.filter(count).length;
  }

  #serverOf(op, shard) {
    if (op.servers) return op.servers[shard];
    if (this.#of !== null) return (op.whole ?? op).before[2]?.[shard].find(([, mode]) => mode === 'redis')?.[0];
    return this.#contacts.get(`${op.process}:${shard}`)?.findLast(([at]) => at <= op.start)?.[1];
  }

  /** The last reign of a server that had begun by then, as a number. Who is with a replica is held to the first one. */
  #reignOf(server, shard, at) {
    return Math.max(
      0,
      this.#reigns[shard].findLastIndex((reign) => reign.server === server && reign.after <= at),
    );
  }

  /** What takes values away that nobody ended: a slot that moves without its keys, the token of a tag that is lost. */
  losses() {
    const drops = this.moves.filter(({ keys, from }) => !keys && from !== null);
    const isTagOf = ({ op }, names) => Boolean(op.tag) && names.includes(op.tag);
    return [
      ...drops.map(({ names, from, till }) => loss(from, till ?? Infinity, ({ key }) => names.includes(key))),
      ...drops.map(({ names, from }) => loss(from, Infinity, (write) => isTagOf(write, names))),
      ...this.promotions.map(({ shard, after }) =>
        loss(after, Infinity, ({ op }) => Boolean(op.tag) && this.isOf(this.groupOf(op.tag), shard)),
      ),
    ];
  }

  /** Whether a slot has moved without its keys, and so their counters began anew. */
  isDropped(name) {
    return this.moves.some(({ names, keys, from }) => !keys && from !== null && names.includes(name));
  }

  /** Whether a key's slot was on its way while a walk over the servers' keys went on, which may miss it. */
  isMoving(name, start, until) {
    return this.moves.some(
      ({ names, from, till }) => from !== null && names.includes(name) && from <= until && (till ?? Infinity) >= start,
    );
  }
}

function loss(start, until, covers) {
  return { op: { op: 'loss', start, until }, covers };
}

/** One server for ever. */
const ALONE = { firsts: [0], promotions: [] };

module.exports = { Fleet, ALONE };
