// Owns the rule about counters. Each increment of a schedule adds a power of 4 of its own, on top of the counter's
// value before (`HEAD`): so a sum says which increments it holds, which it holds twice, and whether it is Redis' or was
// counted apart, in an outage.
'use strict';

const { BASE, DIGITS, HEAD } = require('../schedule');

/** How often a sum holds each amount; null where a sum is none. */
function digitsOf(sum) {
  if (!Number.isSafeInteger(sum) || sum < 0) return null;
  const digits = [];
  for (let rest = sum; digits.length <= DIGITS; rest = Math.floor(rest / BASE)) digits.push(rest % BASE);
  return digits;
}

const digitOf = (amount) => Math.round(Math.log(amount) / Math.log(BASE));

function* countersOf({ plan, ops, final, fleet, mishaps, reaches }) {
  const swept = ops.some(({ op }) => op === 'flush' || op === 'sweep');
  for (const key of plan.counters) {
    const removed = swept || fleet.isDropped(key) || mishaps.hasEmptied;
    // At rest everybody reads what Redis has.
    const last = ops.find((op) => op.client === 'settle' && op.op === 'get' && op.key === key);
    const adds = ops.filter((op) => op.op === 'increment' && op.key === key);
    const seen = ops.flatMap((op) => valuesOf(op, key).map((value) => ({ op, value })));
    const [before, after] = final[key];
    if (before === after && before !== null) seen.push({ op: null, value: Number(before) });
    for (const { op, value } of seen) {
      const digits = digitsOf(value);
      const who = op === null ? 'Redis' : `${op.place}'s ${op.op}`;
      const bad = (text, others = []) => ({
        guarantee: 'G1',
        text: `${who} of ${key} gave ${value}: ${text}`,
        calls: [...others, op].filter(Boolean),
      });
      if (digits === null) {
        yield bad('no sum');
        continue;
      }
      for (let i = 0; i < DIGITS; i++) {
        const add = adds.find(({ amount }) => digitOf(amount) === i);
        if (digits[i] > 1) yield bad(`an increment counts ${digits[i]} times`, [add]);
        if (digits[i] > 0 && (!add || (op !== null && add.start > op.end)))
          yield bad('an increment counts that was not made', [add]);
      }
      if (removed) continue;
      // Redis' own sums begin with what was there before.
      const theirs = digits[DIGITS] > 0;
      if (op !== null && op.where === 'redis' && !theirs)
        yield bad(`Redis' sum has lost the ${HEAD} that it began with`);
      for (const add of adds) {
        const missing = digits[digitOf(add.amount)] === 0;
        if (missing && counts(add, op, theirs) && reaches(add, op ?? last))
          yield bad(`an increment that had resolved does not count`, [add]);
      }
    }
  }
}

/** The sums that a call shows. */
function valuesOf(op, key) {
  if (op.end === null || op.error) return [];
  const values = { get: [op.result], increment: [op.result], getMany: op.result ?? [] }[op.op] ?? [];
  const keys = op.op === 'getMany' ? op.keys : [op.key];
  return values.filter((value, i) => keys[i] === key && value !== null);
}

/** Whether an increment must be part of a sum that `op` saw; null: that Redis has in the end. */
function counts(add, op, theirs) {
  if (op === null) return add.where === 'redis';
  if (add.end === null || add.op === op) return false;
  const before = add.place === op.place ? add.seq < op.seq : add.end < op.start;
  if (add === op || !before) return add === op;
  // Within an outage each process counts for itself; Redis' sums have what Redis has confirmed.
  if (add.where === 'memory') return op.process === add.process && op.era === add.era;
  return (
    add.where === 'redis' && theirs && (op.process === add.process || op.client === 'settle' || op.op === 'increment')
  );
}

module.exports = { countersOf };
