// Owns the guarantees of docs/reliability.md as rules over a history. A rule says only what must be true however the
// calls were interleaved; where two orders are possible, it allows both. What the rules allow on purpose stands in
// docs/reliability.md.
'use strict';

const { countersOf } = require('./counters');
const { SECOND, History, made, precedes, replaced } = require('./history');

const SLACK = 0.05 * SECOND;

const show = (read) => `${read.op.place} read ${read.key} = ${read.value}`;
const name = ({ op }) => (op.op === 'sweep' ? `${op.pattern === null ? 'clear' : `delPattern ${op.pattern}`}` : op.op);

/** Values come from a write of that key, and not before it. */
function* written({ reads, plan }) {
  for (const read of reads) {
    if (read.value === null || plan.counters.includes(read.key)) continue;
    if (read.write === null) yield violation('G1', `${show(read)}, which nobody wrote there`, [read.op]);
    else if (read.write.start > read.op.end) yield violation('G1', `${show(read)} before it was written`, [read.op]);
  }
}

/** G1: what this process has replaced, deleted or invalidated it does not read again, whatever happens to Redis. */
function* ownWrites({ reads, ends, reaches }) {
  for (const read of valued(reads)) {
    for (const end of ends) {
      if (end.op.process !== read.op.process || !end.covers(read.write)) continue;
      // A `get` that is called behind a write or a sweep is behind it; a computation may share a flight until the write
      // has resolved.
      const behind = computes(read.op) ? over(end.op, read.op) : made(end.op, read.op);
      if (!behind || !precedes(read.write, end) || !reaches(end.op, read.op)) continue;
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
      if (!reaches(end.op, read.op)) continue;
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
 * G3: what an outage stored in a process stays there, and is gone when Redis is back. What a function returns that
 * began in an outage is for those who wait for it alone.
 */
function* apart({ reads }) {
  for (const read of valued(reads)) {
    const { op, write } = read;
    if (write.where !== 'memory' && !write.away) continue;
    if (op.process === write.op.process) {
      if (op.where !== 'redis' || (write.where !== 'memory' && computes(op))) continue;
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
      if (!reaches(end.op, read.op)) continue;
      yield violation('G4', `${show(read)}, computed while ${end.op.place} did a ${name(end)}`, [
        write.op,
        end.op,
        read.op,
      ]);
    }
  }
}

/** G5: nothing lives longer than its TTL, the last that it was given. */
function* expiry({ reads, expiries, reaches }) {
  for (const read of valued(reads)) {
    const { key, until, op, start } = read.write;
    const given = expiries.filter(
      (each) => each.key === key && (each.end ?? Infinity) > start && each.start < read.op.end,
    );
    const [only] = given;
    // This process' own `expire`, where it certainly met this value and there was no other one, may also shorten its
    // life.
    const met = given.length === 1 && only.result === true && only.process === read.op.process && until < only.start;
    const ends = [
      ...(met && only.until < read.op.start && reaches(only, read.op) ? [] : [until + op.ttl * SECOND]),
      ...given.map((each) => each.until + each.ttl * SECOND),
    ];
    const late = read.op.start - (Math.max(...ends) + SLACK);
    if (late > 0)
      yield violation('G5', `${show(read)} ${(late / 1e6).toFixed(1)} ms too late`, [op, ...given, read.op]);
  }
}

/** G5: an `expire` that Redis answered with true has met a value: one that nobody had certainly ended before. */
function* met({ expiries, writes, ends, reaches }) {
  for (const op of expiries) {
    if (op.result !== true || op.where !== 'redis') continue;
    const ended = (write) =>
      ends.some(
        (end) =>
          end.op.where === 'redis' &&
          end.covers(write) &&
          precedes(write, end) &&
          reaches(end.op, op) &&
          (over(end.op, op) || made(end.op, op)),
      );
    const all = [...writes.values()].filter((write) => write.key === op.key && write.start <= op.end);
    if (all.length > 0 && all.every(ended)) {
      yield violation('G5', `an expire of ${op.key} met what was ended before`, [op]);
    }
  }
}

/** G5: in Redis a key has the time left that its value was given, with it or by an `expire` that found it. */
function* timed({ ops, reads, writes, expiries, left }) {
  for (const { op, key, write, due } of lives(ops, reads, writes, left)) {
    // `false` is Redis' word only where Redis answered: a call that ran into an outage was answered in process, and may
    // have taken effect in Redis all the same.
    const given = expiries.filter(
      (each) =>
        each.key === key &&
        each.until > write.start &&
        each.start < op.end &&
        (each.result !== false || each.where !== 'redis'),
    );
    const dues = [write.op, ...given].map((each) => {
      const [from, to] =
        each === write.op ? [write.stored, Math.max(each.until, write.until)] : [each.start, each.until];
      return [from + each.ttl * SECOND - SLACK, to + each.ttl * SECOND + SLACK];
    });
    if (dues.some(([from, to]) => due[1] >= from && due[0] <= to)) continue;
    const seconds = ((due[0] - op.end) / SECOND).toFixed(1);
    const meant = expiries.filter((each) => each.key === key && each.start < op.end);
    yield violation('G5', `${key} = ${write.value} in Redis has ${seconds} s left, which nobody gave it`, [
      write.op,
      ...meant,
      op,
    ]);
  }
}

/** What lay in Redis, and between which moments its life ends: in the end, and when a foreign client looked. */
function* lives(ops, reads, writes, left) {
  for (const { op, key, write } of valued(reads)) {
    if (op.client === 'settle' && left[key] && write.until !== Infinity) yield { op, key, write, due: left[key] };
  }
  for (const op of ops.filter(({ op: name }) => name === 'probe')) {
    const [bytes, millis] = op.result;
    const write = bytes !== null && /^\d+$/.test(bytes) ? writes.get(`${op.key}=${bytes}`) : undefined;
    if (write === undefined || write.until === Infinity || millis < 0) continue;
    yield { op, key: op.key, write, due: [op.start + millis * 1e6, op.end + (millis + 1) * 1e6] };
  }
}

/** G1: one's own write is there, where nothing took it away. */
function* kept({ reads, writes, ends, perhaps, outages, back, fleet }) {
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
            covers(write) &&
            !spares(op, write) &&
            meanwhile(op.start, endsTag(op, write) || isSweptLater(op) ? Infinity : op.until),
        ) ||
        [...writes.values()].some(
          (other) =>
            other.kind === 'compute' && other.key === write.key && !other.leased && meanwhile(other.start, other.until),
        ) ||
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
      if (!end.covers(read.write) || !precedes(read.write, end) || !reaches(end.op, read.op)) continue;
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
    else if (op.error) yield violation('contract', `a ${op.op} of ${op.place} rejected: ${op.error}`, [op]);
  }
}

/** The violations of a history, the earliest first. */
function check(plan, raw) {
  const history = new History(plan, raw);
  const rules = [
    settles,
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
    settled,
    countersOf,
  ];
  // What of this schedule the rules could not demand, for the figures of a run.
  if (raw.fleet) raw.fleet.losable = history.fleet.losable(history.ends);
  const found = rules.flatMap((rule) => [...rule(history)]);
  const flushed = plan.clients.some(({ steps }) => steps.some(({ calls }) => calls.some(({ op }) => op === 'flush')));
  if (raw.lost.length > 0 && !flushed)
    found.push(violation('G8', `keys of others are gone: ${raw.lost.join(', ')}`, []));
  const at = ({ calls }) => calls.at(-1)?.start ?? Infinity;
  return found.sort((x, y) => at(x) - at(y));
}

function violation(guarantee, text, calls) {
  return { guarantee, text, calls: calls.filter(Boolean).map((op) => op.whole ?? op) };
}

const computes = ({ op }) => op.startsWith('compute');
const over = (earlier, later) => earlier.end !== null && earlier.end < later.start;
const valued = (reads) => reads.filter(({ write }) => write !== null);

module.exports = { check };
