// Owns the load over HTTP, from the parent, on the server of a child (see `listen` in server.js): as much as it
// answers, or at a fixed rate.
'use strict';

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const autocannon = require('autocannon');
const { ask } = require('../lab/lab');
const { percentiles } = require('../lab/workload');

/** autocannon looks at the clock so often, by default once a second. */
const SAMPLE_MS = 100;
/** Milliseconds between two handfuls of requests of a fixed rate. */
const TICK_MS = 5;

/** Drives the server of a child with autocannon, as its `options` say, and returns what it cost the child. */
async function shoot(child, options) {
  const url = await ask(child, 'url');
  await ask(child, 'start');
  const load = autocannon({ url, sampleInt: SAMPLE_MS, ...options });
  // Its own percentiles are whole milliseconds, of which a lone connection needs a part.
  const latencies = [];
  load.on('response', (_client, _status, _bytes, ms) => latencies.push(ms));
  const shots = await load;
  const cost = await ask(child, 'stop');
  return {
    ...cost,
    seconds: shots.duration,
    calls: shots.requests.total,
    failed: shots.errors + shots.timeouts + shots.non2xx,
    ...percentiles(latencies),
  };
}

/**
 * Sends `rate` requests a second, evenly, over at most `connections` of them, and returns what they cost the child;
 * `busy` is its event-loop utilization. autocannon's own fixed rate is a burst at the beginning of each second.
 */
async function pace(child, { rate, connections, duration }) {
  const url = await ask(child, 'url');
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const latencies = [];
  const answers = [];
  let failed = 0;
  const send = async () => {
    const began = performance.now();
    const status = await get(url, agent).catch(() => 0);
    latencies.push(performance.now() - began);
    if (status !== 200) failed += 1;
  };

  await ask(child, 'start');
  const began = performance.now();
  for (let elapsed = 0; elapsed < duration; elapsed = (performance.now() - began) / 1000) {
    while (answers.length < elapsed * rate) answers.push(send());
    await sleep(TICK_MS);
  }
  await Promise.all(answers);
  const cost = await ask(child, 'stop');
  agent.destroy();
  const busy = cost.loopMicros / cost.seconds / 1e6;
  return { ...cost, busy, calls: latencies.length, failed, ...percentiles(latencies) };
}

/** The status of an answer, once it has come whole. */
function get(url, agent) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
  });
}

module.exports = { get, shoot, pace };
