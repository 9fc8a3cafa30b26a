// A function for getOrCompute that a test watches, and lets finish when it likes.
'use strict';

const { expectCode } = require('./holdfast');
const { until } = require('./until');

/** `fn` counts its `runs` and settles by `open(value)` or `fail(reason)`; `begun()` resolves once it runs. */
function computation() {
  const made = { runs: 0 };
  const settled = new Promise((resolve, reject) => Object.assign(made, { open: resolve, fail: reject }));
  settled.catch(() => {}); // who gets the reason is for the cache to say
  made.fn = () => {
    made.runs++;
    return settled;
  };
  made.begun = () => until(() => made.runs > 0, 'the function runs');
  return made;
}

/**
 * Makes a call that gives up while its function runs; once more where a busy machine let it give up before that. `run`
 * counts the `runs` of the function.
 */
async function outlast(run, call) {
  do await expectCode(call, 'ERR_COMPUTE_TIMEOUT');
  while (run.runs === 0);
}

module.exports = { computation, outlast };
