// Requests as a client makes them, with no header of its own: `fetch` adds Cache-Control to conditional ones.
'use strict';

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

/**
 * Begins a request; `response` resolves with its head, `answer` with the whole of it. `stop()` closes the connection.
 */
function begin(url, { method = 'GET', headers = {}, body } = {}) {
  const request = http.request(url, { method, headers, agent: false });
  const response = new Promise((resolve, reject) => request.once('response', resolve).once('error', reject));
  const answer = response.then(async (incoming) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    return { status: incoming.statusCode, headers: incoming.headers, bytes, text: bytes.toString() };
  });
  // A test that stops a request does not look at what became of it.
  response.catch(() => {});
  answer.catch(() => {});
  request.end(body);
  return { response, answer, stop: () => request.destroy() };
}

/**
 * A whole request that follows others. Within the millisecond in which its response is stored it gets the copy as one
 * of those who waited, with MISS: what a test says of hits is for the requests behind that, so it asks again.
 */
async function ask(url, options) {
  for (;;) {
    const answer = await begin(url, options).answer;
    if (!answer.headers['cache-status']?.endsWith('collapsed')) return answer;
    await nextMoment();
  }
}

/** Lets the millisecond of what was answered last pass: a copy of that very millisecond counts as new. */
const nextMoment = () => sleep(3);

/** How the answer was made: HIT, STALE, MISS, BYPASS. */
const how = async (url, options) => (await ask(url, options)).headers['x-cache'];

/** A handler that answers `headers` and how often it has run; `runs()` tells that too. */
function counting(headers, more = {}) {
  let count = 0;
  const handler = () => ({ headers, body: `run ${++count}`, ...more });
  return Object.assign(handler, { runs: () => count });
}

/** A promise, and the function that resolves it. */
function gate() {
  let open;
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

module.exports = { ask, begin, counting, gate, how, nextMoment };
