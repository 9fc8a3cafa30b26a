// Waits for a condition by asking again and again, so that no test sleeps for a guessed time.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

/**
 * Resolves to the first truthy value of `condition`; the bound is against hangs only. A condition that costs its
 * servers something is asked less often.
 */
async function until(condition, what = condition.toString(), boundMs = 60_000, pauseMs = 10) {
  const end = Date.now() + boundMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`did not come true within ${boundMs} ms: ${what}`);
    await sleep(pauseMs);
  }
}

/** Waits until the cache is in `mode`. */
function untilMode(cache, mode) {
  return until(() => cache.getMode() === mode, `mode ${mode}`);
}

/** Waits until a lease, of which `ask` tells the milliseconds left, has been renewed again and again. */
async function untilRenewed(ask) {
  let left = Infinity;
  let renewals = 0;
  await until(async () => {
    const now = Number(await ask());
    if (now < 0) throw new Error('the lease has ended');
    if (now > left) renewals++;
    left = now;
    return renewals === 3;
  }, 'the lease is renewed three times');
}

module.exports = { until, untilMode, untilRenewed, sleep };
