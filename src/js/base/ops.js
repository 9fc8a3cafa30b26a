// The numbers of what crosses to Rust: operations, flags, answers, and the prefixes of special keys.
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
  TAKE: 12,
  SET_IF_ABSENT: 13,
  SOFTEN: 14,
  END_TAG: 15,
  TAG_TIME: 16,
  // Takes the lease of runExclusive; the next one renews it, or with a TTL of 0 gives it up.
  HOLD: 17,
  RENEW: 18,
  INSPECT: 19,
});
// How a GET may be answered.
const Early = Object.freeze({
  // With the rest of the batch.
  NO: 0,
  // From the near cache, before the rest of the batch.
  YES: 1,
  // As YES, and with the versions that JavaScript needs to keep the value.
  HOT: 2,
});
// Flags of a BEGIN. LOCK: one computation across processes. MANY: it is one key of several; where another
// thread or process computes the key, the answer says so at once.
const Ask = Object.freeze({ LOCK: 1, MANY: 2 });
// Why an ABANDON stores nothing.
const Why = Object.freeze({
  // The function threw.
  FAILED: 0,
  // It returned undefined.
  NOTHING: 1,
  // Its callers gave up, and it lost its right to store.
  LEFT: 2,
});
// The first element of a reply to BEGIN; src/engine/call/splice.rs writes it, and src/engine/call/reply.rs says what
// each means.
const Answer = Object.freeze({ HIT: 0, LEAD: 1, FOLLOW: 2, WAIT: 3, NOTHING: 4, AGAIN: 5, STALE: 6, ELSEWHERE: 7 });
// The operations that change a key: its hot values end when they are called.
const WRITES = new Set(
  /** @type {number[]} */ ([
    Op.SET,
    Op.SET_IF_ABSENT,
    Op.DEL,
    Op.SOFTEN,
    Op.END_TAG,
    Op.TAKE,
    Op.INCREMENT,
    Op.EXPIRE,
    Op.END,
  ]),
);
// Long work; src/binding/bridge.rs reads them.
const Task = Object.freeze({ DEL_PATTERN: 0, CLEAR: 1, FLUSH_DB: 2, STATS: 3, SCAN: 4 });
// A tag is a key of this prefix (src/engine/value/tags.rs).
const TAG = '\0tag\0';
// The prefix of the locks of refreshes.
const REFRESH = '\0refresh\0';
// And of the leases of runExclusive.
const LEASE = '\0lease\0';

module.exports = { Answer, Ask, Early, LEASE, Op, REFRESH, TAG, Task, WRITES, Why };
