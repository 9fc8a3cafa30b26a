// What crosses to Rust, by number.
'use strict';

// The kinds of operation; src/binding/decode.rs reads them.
const Op = Object.freeze({
  GET: 0,
  SET: 1,
  DEL: 2,
  INCREMENT: 3,
  EXISTS: 4,
  TTL: 5,
  EXPIRE: 6,
  BEGIN: 7,
  END: 8,
  ABANDON: 9,
  OVERDUE: 10,
  WITHDRAW: 11,
});
// How a GET may be answered: with its neighbours, as soon as may be, and so that it may be kept.
const Early = Object.freeze({ NO: 0, YES: 1, HOT: 2 });
// How a BEGIN asks: for one computation across processes; as one key of many, so that it is told at once who else computes it.
const Ask = Object.freeze({ LOCK: 1, MANY: 2 });
// Why an ABANDON stores nothing: the function threw, it returned undefined, or nobody waits for it any more and its
// right to store is gone.
const Why = Object.freeze({ FAILED: 0, NOTHING: 1, LEFT: 2 });
// The first element of a reply to BEGIN; src/engine/call/splice.rs writes it.
const Answer = Object.freeze({ HIT: 0, LEAD: 1, FOLLOW: 2, WAIT: 3, NOTHING: 4, AGAIN: 5, STALE: 6, ELSEWHERE: 7 });
const WRITES = new Set(/** @type {number[]} */ ([Op.SET, Op.DEL, Op.INCREMENT, Op.EXPIRE, Op.END]));
const Task = Object.freeze({ DEL_PATTERN: 0, CLEAR: 1, FLUSH_DB: 2, STATS: 3 });
// A tag is a key of this prefix, as src/engine/value/tags.rs has it: deleting it invalidates the entries that carry the tag.
const TAG = '\0tag\0';
// And the prefix of the locks of refreshes.
const REFRESH = '\0refresh\0';

module.exports = { Answer, Ask, Early, Op, REFRESH, TAG, Task, WRITES, Why };
