// Owns the shrinking of a plan that was violated: without a fault, a client, a turn, a call, as long as it still
// violates the same guarantee in some of a few tries.
'use strict';

const { Lane } = require('./lane');

const TRIES = 12;
const LONGEST_MS = 90_000;

/** Plans that lack one thing each, the largest things first. */
function* smaller(plan) {
  for (let i = 0; i < plan.clients.length; i++) yield { ...plan, clients: plan.clients.toSpliced(i, 1) };
  for (let i = 0; i < plan.faults.length; i++) yield { ...plan, faults: plan.faults.toSpliced(i, 1) };
  for (const size of [8, 4, 2, 1]) {
    for (let c = 0; c < plan.clients.length; c++) {
      const client = plan.clients[c];
      for (let i = 0; i + size <= client.steps.length; i += size) {
        yield { ...plan, clients: plan.clients.with(c, { ...client, steps: client.steps.toSpliced(i, size) }) };
      }
    }
  }
  for (let c = 0; c < plan.clients.length; c++) {
    const client = plan.clients[c];
    for (let s = 0; s < client.steps.length; s++) {
      const step = client.steps[s];
      for (let i = 0; i < step.calls.length && step.calls.length > 1; i++) {
        const steps = client.steps.with(s, { ...step, calls: step.calls.toSpliced(i, 1) });
        yield { ...plan, clients: plan.clients.with(c, { ...client, steps }) };
      }
    }
  }
}

/** The smallest plan that was found, with its result, and in how many `times` of so many `tries` it is violated. */
async function shrink(result, build) {
  const { guarantee } = result.found[0];
  const deadline = Date.now() + LONGEST_MS;
  const lane = await Lane.start(build);
  const violates = async (plan) => {
    for (let i = 0; i < TRIES && Date.now() < deadline; i++) {
      const again = await lane.attempt(plan);
      if (again.raw !== null && again.found.some((each) => each.guarantee === guarantee)) return again;
    }
    return null;
  };
  let best = result;
  try {
    for (let found = true; found && Date.now() < deadline; ) {
      found = false;
      for (const plan of smaller(best.plan)) {
        const again = await violates(plan);
        if (again === null) continue;
        best = again;
        found = true;
        break;
      }
    }
    let times = 0;
    for (let i = 0; i < TRIES; i++) if ((await lane.attempt(best.plan)).found.length > 0) times++;
    return { ...best, times, tries: TRIES };
  } finally {
    await lane.stop();
  }
}

module.exports = { shrink };
