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
});
// How a GET may be answered: with its neighbours, as soon as may be, and so that it may be kept.
const Early = Object.freeze({ NO: 0, YES: 1, HOT: 2 });
const WRITES = new Set(/** @type {number[]} */ ([Op.SET, Op.DEL, Op.INCREMENT, Op.EXPIRE, Op.END]));
const Task = Object.freeze({ DEL_PATTERN: 0, CLEAR: 1, FLUSH_DB: 2, STATS: 3 });

module.exports = { Early, Op, Task, WRITES };
