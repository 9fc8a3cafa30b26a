// Owns the rules about how long values live (G5): no longer than their TTL, but for callers that take old ones, and in
// Redis as long as they were given.
'use strict';

const {
  SECOND,
  SLACK,
  computes,
  made,
  over,
  precedes,
  show,
  valued,
  violation,
  whereOf,
  windowOf,
} = require('./history');

/** Timers count whole milliseconds. */
const TICK = 2e6;
/** For how long nobody tries again after a function that failed, or that lost its connection. */
const UNTRIED = 3.5 * SECOND;

/** G5: nothing lives longer than its TTL, the last that it was given. */
function* expiry({ ops, reads, expiries, reaches }) {
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
      ...(met && only.until < read.op.start && reaches(only, read.op, read.write) ? [] : [until + op.ttl * SECOND]),
      ...given.map((each) => each.until + each.ttl * SECOND),
    ];
    const age = read.op.start - (Math.max(...ends) + SLACK);
    const [atOnce, atMost] = windowsOf(read);
    if (age > atMost) {
      const late = ((age - atMost) / 1e6).toFixed(1);
      yield violation('G5', `${show(read)} ${late} ms too late`, [op, ...given, read.op]);
    } else if (age > atOnce && returned(read)) {
      yield violation('G5', `${show(read)}, an old value, though its function had returned`, [op, read.op]);
    } else if (age > atOnce && !excused(read, ops)) {
      yield violation('G5', `${show(read)}, an old value, though no function had failed or was late`, [op, read.op]);
    }
  }
}

/** For how long behind its TTL a caller may get a value at once, and at all: both it and the value have a say. */
function windowsOf({ op, write }) {
  if (!computes(op)) return [0, 0];
  return [Math.min((op.swr ?? 0) * 1e6, write.window), Math.min(windowOf(op), write.window)];
}

/**
 * Whether a caller's own function had returned a value for this key, in time: it gets that, and no older one. Each key
 * of several has a timer of its own, and a function that takes just as long may return between two of them.
 */
function returned({ op, key }) {
  const late = op.timeout > 0 ? op.start + op.timeout * 1e6 - TICK : Infinity;
  const inTime = ({ end }) => end !== undefined && end < Math.min(op.end, late);
  return !op.fails && (op.runs ?? []).some((run) => run.key === key && inTime(run));
}

/**
 * Whether a caller may have had need of an old value: its own function failed or was late, somebody else computes, or
 * did so in vain and nobody tries again yet.
 */
function excused({ op, key }, ops) {
  if (op.where !== 'redis') return true;
  const excuses = (other, run) => {
    if (run.key !== key || run.start > op.end) return false;
    const hasFailed = other.fails && (run.end ?? Infinity) <= op.end;
    const wasInVain = hasFailed || whereOf(other.before, run.settled) !== 'redis';
    if (wasInVain && run.start > op.start - UNTRIED && run.end !== undefined) return true;
    // Callers of the thread that runs the function wait for it.
    return other.place !== op.place && (run.landed ?? Infinity) >= op.start;
  };
  const wasLate = op.timeout > 0 && op.end - op.start > op.timeout * 1e6 - TICK;
  return wasLate || ops.some((other) => (other.runs ?? []).some((run) => excuses(other, run)));
}

/** How many values were given after their TTL. */
function old({ reads, expiries }) {
  const isOld = ({ op, key, write }) =>
    op.start > write.until + write.op.ttl * SECOND && !expiries.some((each) => each.key === key);
  return valued(reads).filter((read) => computes(read.op) && isOld(read)).length;
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
          reaches(end.op, op, write) &&
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
      const life = each.ttl * SECOND + write.window;
      return [from + life - SLACK, to + life + SLACK];
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

module.exports = { expiry, met, old, timed };
