// Owns the guarantees of docs/reliability.md as rules over a history. A rule says only what must be true however the
// calls were interleaved; where two orders are possible, it allows both. What the rules allow on purpose stands in
// docs/reliability.md.
'use strict';

const { countersOf } = require('./counters');
const { SECOND, SLACK, History, computes, keysOf, made, over, precedes, replaced, serves, show, valued, violation } =
  require('./history');
const { expiry, met, old, timed } = require('./lives');

const name = ({ op }) => (op.op === 'sweep' ? `${op.pattern === null ? 'clear' : `delPattern ${op.pattern}`}` : op.op);

/** What a function throws that is to fail. */
const FAILED = 'FAILED';

/** Values come from a write of that key, and not before it. */
function* written({ reads, plan }) {
  for (const read of reads) {
    if (read.value === null || plan.counters.includes(read.key)) continue;
    if (read.write === null) yield violation('G1', `${show(read)}, which nobody wrote there`, [read.op]);
    else if (read.write.start > read.op.end) yield violation('G1', `${show(read)} before it was written`, [read.op]);
  }
}

/** G1: what this process has replaced, deleted or invalidated it does not read again, whatever happens to Redis. */
function* ownWrites({ plan, reads, ends, reaches }) {
  for (const read of valued(reads)) {
    for (const end of ends) {
      if (end.op.process !== read.op.process || !end.covers(read.write) || serves(end, read)) continue;
      // A `get` that is called behind a write or a sweep is behind it; a computation may share a flight until the write
      // has resolved. On a cluster a tag ends at a server of its own, and so for reads that are called once it has.
      const waits = computes(read.op) || (plan.topology === 'cluster' && end.op.op === 'invalidate');
      const behind = waits ? over(end.op, read.op) : made(end.op, read.op);
      if (!behind || !precedes(read.write, end) || !reaches(end.op, read.op, read.write)) continue;
      const rule = read.write.kind === 'compute' ? 'G4' : end.op.where === 'redis' ? 'G1' : 'G3';
      yield violation(rule, `${show(read)}, older than its own ${name(end)}`, [read.write.op, end.op, read.op]);
    }
  }
}

/** G2: behind a reply of the server there are no values from before it that anybody ended. */
function* pushes({ reads, ends, syncs, reaches, fleet }) {
  // The last reply of the server that tells of what `group` has, in the connection that the reader is in.
  const heard = (read, group) =>
    syncs.findLast((each) => {
      if (each.group !== group || each.process !== read.op.process || !over(each, read.op)) return false;
      if (group === read.op.group) return each.era === read.op.era;
      const states = [each, read.op].flatMap(({ whole }) => [whole.before, whole.after]);
      return new Set(states.map((state) => `${fleet.view(state, group)}`)).size === 1;
    });
  for (const read of valued(reads)) {
    if (read.op.where !== 'redis' || shares(read)) continue;
    const known = new Map(fleet.groups.map((group) => [group, heard(read, group)]));
    for (const end of ends) {
      const sync = known.get(end.op.group);
      if (!sync) continue;
      if (end.op.where !== 'redis' || !over(end.op, sync) || !end.covers(read.write) || !precedes(read.write, end))
        continue;
      if (serves(end, read) || !reaches(end.op, read.op, read.write)) continue;
      const text = `${show(read)} after a reply of the server, older than the ${name(end)} of ${end.op.place} before that reply`;
      yield violation('G2', text, [read.write.op, end.op, sync, read.op]);
    }
  }
}

/** Whether a caller shares a computation of its own process that was under way. */
function shares({ op, write }) {
  const underWay = op.start < write.until;
  return computes(op) && write.kind === 'compute' && op.process === write.op.process && underWay;
}

/** G2: a process that stays connected does not go back to an older value. */
function* forwards({ reads }) {
  const connected = valued(reads).filter(({ op }) => op.where === 'redis');
  for (const read of connected) {
    const newer = connected.find(
      (seen) =>
        seen.key === read.key &&
        seen.op.era === read.op.era &&
        seen.write !== read.write &&
        !computes(seen.op) &&
        over(seen.op, read.op) &&
        replaced(read.write, seen.write),
    );
    if (newer) {
      const text = `${show(read)} after it had seen ${newer.value}, which replaced it`;
      yield violation('G2', text, [read.write.op, newer.write.op, newer.op, read.op]);
    }
  }
}

/**
 * G3: what an outage stored in a process stays there, and is gone when Redis is back, in the next outage too. What a
 * function returns that began in an outage is for those who wait for it alone.
 */
function* apart({ reads, backOf }) {
  for (const read of valued(reads)) {
    const { op, write } = read;
    if (write.where !== 'memory' && !write.away) continue;
    if (op.process === write.op.process) {
      const wasBack = write.where === 'memory' && backOf(write.op, write.until) < op.start;
      const isBack = op.where === 'redis' || wasBack;
      if (!isBack || (write.where !== 'memory' && computes(op))) continue;
    }
    yield violation('G3', `${show(read)}, written in ${write.op.process} while Redis was away`, [write.op, op]);
  }
}

/** G4: a value whose key was deleted or written while it was computed is nobody's but its waiters'. */
function* computations({ reads, ends, reaches }) {
  for (const read of valued(reads)) {
    const { write } = read;
    const mine = read.op.process === write.op.process;
    if (write.kind !== 'compute' || !write.leased || (mine && (computes(read.op) || read.op.where !== 'redis')))
      continue;
    for (const end of ends) {
      if (end.op.where !== 'redis' || !end.covers(write) || write.start >= end.op.start || end.op.end >= write.stored)
        continue;
      if (!reaches(end.op, read.op, read.write)) continue;
      yield violation('G4', `${show(read)}, computed while ${end.op.place} did a ${name(end)}`, [
        write.op,
        end.op,
        read.op,
      ]);
    }
  }
}

/** G1: one's own write is there, where nothing took it away. */
function* kept({ plan, reads, writes, ends, perhaps, outages, back, fleet }) {
  for (const read of reads) {
    if (read.value !== null || computes(read.op) || read.op.where !== 'redis') continue;
    for (const write of writes.values()) {
      if (write.key !== read.key || write.kind !== 'set' || write.op.era !== read.op.era || !over(write.op, read.op))
        continue;
      if (read.op.end > write.start + write.op.ttl * SECOND - SLACK) continue;
      const meanwhile = (start, until) => start <= read.op.end && until >= write.start;
      const taken =
        [...ends, ...perhaps].some(
          // What ends a tag and is not heard of yet makes a miss of what is stored with it.
          ({ op, covers }) =>
            op !== write.op &&
            op !== read.op &&
            covers(write) &&
            !spares(op, write) &&
            meanwhile(op.start, endsTag(op, write) || isSweptLater(op) ? Infinity : op.until),
        ) ||
        [...writes.values()].some(
          (other) =>
            other.kind === 'compute' && other.key === write.key && !other.leased && meanwhile(other.start, other.until),
        ) ||
        missesToken(plan, write, read) ||
        groupsOf(fleet, write).some((group) =>
          outages.some(
            ({ process, at, shard }) =>
              (shard === undefined || fleet.isOf(group, shard)) &&
              meanwhile(at - SLACK, back.get(`${process}:${group}`)?.find((time) => time > at) ?? Infinity),
          ),
        );
      if (!taken)
        yield violation('G1', `${show(read)} although nothing took its own ${write.value} away`, [write.op, read.op]);
    }
  }
}

/** G1: of several callers that take a value one gets it, unless a server that has it back gives it once more. */
function* taken({ reads, reaches }) {
  const takes = valued(reads).filter(({ op, write }) => op.op === 'take' && write.where === 'redis');
  for (const one of takes) {
    for (const other of takes) {
      // Of two at the same time either may have been the first.
      const isFirst = over(one.op, other.op) || (!over(other.op, one.op) && takes.indexOf(one) < takes.indexOf(other));
      if (one.write !== other.write || !isFirst || !reaches(one.op, other.op, one.write)) continue;
      if (!over(one.op, other.op) && !reaches(other.op, one.op, one.write)) continue;
      yield violation('G1', `${show(other)}, which ${one.op.place} had taken`, [one.write.op, one.op, other.op]);
    }
  }
}

/**
 * Whether the token of a tag may have been waited for in vain. On a cluster it is asked for in front of what is stored
 * under it, also where both lie on one server: a call waits for it for half of its time, and then stores or finds a
 * value that nobody reads.
 */
function missesToken({ topology, options }, write, read) {
  const waited = ({ start, end }) => end - start >= (options.timeoutMs / 2_000) * SECOND;
  return topology === 'cluster' && Boolean(write.op.tag) && (waited(write.op) || waited(read.op));
}

/** The shards that a value needs: those of its key, and those of its tag's token. */
function groupsOf(fleet, { key, op }) {
  return op.tag ? [fleet.groupOf(key), fleet.groupOf(op.tag)] : [fleet.groupOf(key)];
}

/** Whether a sweep of the same thread was called before the write: it leaves that alone, however long it takes. */
function spares(op, write) {
  return op.op === 'sweep' && op.where === 'redis' && op.place === write.op.place && op.seq < write.op.seq;
}

/** Whether the keys of a sweep are walked for once its process is back, while that and others write already. */
function isSweptLater(op) {
  return op.op === 'sweep' && op.where !== 'redis';
}

/**
 * Whether a call ends the tag that a value was stored with: an invalidation, and what removes all keys, the tag's among
 * them.
 */
function endsTag(op, write) {
  if (op.op === 'invalidate') return true;
  return Boolean(write.op.tag) && (op.op === 'flush' || (op.op === 'sweep' && op.pattern === null));
}

/** In the end every process agrees with Redis, and Redis has nothing that anybody ended: in an outage, too (G3). */
function* settled({ reads, ends, final, plan, reaches }) {
  for (const read of reads) {
    if (read.op.client !== 'settle' || plan.counters.includes(read.key)) continue;
    const [before, after] = final[read.key];
    // A number is the value itself; a marker (0xFE) is none; what has a header (0xFF) may have been invalidated.
    const plain = before === null || /^\d/.test(before) || before[0] === '\xfe';
    const stored = before !== null && /^\d/.test(before) ? Number(before) : null;
    if (before === after && plain && read.value !== stored) {
      yield violation('G2', `in the end ${show(read)}, and Redis has ${stored}`, [read.write?.op, read.op]);
    }
    if (!read.write) continue;
    for (const end of ends) {
      // Nobody knows whether a thread that ended has made its last calls.
      if (end.op.end === null) continue;
      if (!end.covers(read.write) || !precedes(read.write, end) || !reaches(end.op, read.op, read.write)) continue;
      const rule = read.write.kind === 'compute' ? 'G4' : end.op.where === 'redis' ? 'G2' : 'G3';
      yield violation(rule, `in the end ${show(read)}, older than the ${name(end)} of ${end.op.place}`, [
        read.write.op,
        end.op,
        read.op,
      ]);
    }
  }
}

/** Every call settles, and trouble with Redis rejects none. */
function* settles({ ops, ended }) {
  for (const op of ops) {
    if (op.end === null && ended.includes(op.place)) continue;
    if (op.end === null) yield violation('G6', `a ${op.op} of ${op.place} never settled`, [op]);
    else if (op.error && !threw(op, ops))
      yield violation('contract', `a ${op.op} of ${op.place} rejected: ${op.error}`, [op]);
  }
}

/** Whether a computation rejected with what its function threw, or that of a call of its thread which it shared. */
function threw(part, ops) {
  const op = part.whole ?? part;
  const runs = ops.flatMap(({ fails, place, runs: some }) => (fails && place === op.place ? (some ?? []) : []));
  const shared = ({ key, start, end }) => keysOf(op).includes(key) && start <= op.end && (end ?? Infinity) >= op.start;
  return computes(op) && op.error === FAILED && runs.some(shared);
}

/** G6: nobody waits longer for a process that died than its leases live. */
function* outlived({ ops, mishaps }) {
  for (const op of ops) {
    if (!computes(op) || op.end === null || op.where !== 'redis') continue;
    for (const { death, waited } of mishaps.lateFor(op)) {
      const seconds = (waited / SECOND).toFixed(1);
      yield violation('G6', `a ${op.op} of ${op.place} waited ${seconds} s after the end of ${death.process}`, [op]);
    }
  }
}

/** The violations of a history, the earliest first. */
function check(plan, raw) {
  const history = new History(plan, raw);
  const rules = [
    settles,
    outlived,
    written,
    ownWrites,
    pushes,
    forwards,
    apart,
    computations,
    expiry,
    met,
    timed,
    kept,
    taken,
    settled,
    countersOf,
  ];
  // What of this schedule the rules could not demand, for the figures of a run.
  raw.old = old(history);
  if (raw.fleet) raw.fleet.losable = history.fleet.losable(history.ends);
  const found = rules.flatMap((rule) => [...rule(history)]);
  const flushed = plan.clients.some(({ steps }) => steps.some(({ calls }) => calls.some(({ op }) => op === 'flush')));
  if (raw.lost.length > 0 && !flushed && !history.mishaps.hasEmptied)
    found.push(violation('G8', `keys of others are gone: ${raw.lost.join(', ')}`, []));
  const at = ({ calls }) => calls.at(-1)?.start ?? Infinity;
  return found.sort((x, y) => at(x) - at(y));
}

module.exports = { check };
