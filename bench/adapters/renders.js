// Owns the part of the page `adapters` in which two instances of a site of Next.js are asked for one thing at once: how
// often it is rendered.
'use strict';

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { get } = require('../http/load');
const { WORKS_MS } = require('../lab/crowd');
const { fixed, grouped, integer, median, table } = require('../lab/figures');
const { ask, end } = require('../lab/lab');
const { inTurn } = require('../lab/page');
const { kindsOf, rendersOf, sites, startSite } = require('./sites');

const INSTANCES = 2;
/** Callers of each instance. */
const EACH = 100;
const QUICK_EACH = 10;
/** Milliseconds until a page that is fresh for a second is due. */
const DUE_MS = 1500;
/** For renderings behind the answers to come. */
const SPARE_MS = 500;

/** What is asked for: the route, whether it has been rendered before and is due, and the kind of what it keeps. */
const CASES = {
  'a page that nobody has': { route: 'page', isDue: false, kind: 'page' },
  'a page that is due': { route: 'due', isDue: true, kind: 'page' },
  "'use cache', a function that nobody has": { route: 'function', isDue: false, kind: 'function' },
};

async function measureRenders(lab, names, { rounds, quick }) {
  const each = quick ? QUICK_EACH : EACH;
  const instances = {};
  for (const name of names.filter((known) => Object.hasOwn(sites, known))) {
    instances[name] = [];
    for (let number = 0; number < INSTANCES; number += 1) instances[name].push(await startSite(lab, name, number));
  }
  const seen = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of inTurn(Object.keys(instances), round)) {
      const urls = await Promise.all(instances[name].map((child) => ask(child, 'url')));
      for (const [what, { route, isDue, kind }] of Object.entries(CASES)) {
        if (!kindsOf(name).includes(kind)) continue;
        // The handlers share a Redis, but no key; what the first crowd finds out is that the code is not compiled yet.
        for (const slug of [`warm-${round}`, `cold-${round}`]) {
          const result = await crowd(urls, `${route}/${slug}-${Object.keys(sites).indexOf(name)}`, { each, isDue });
          if (slug.startsWith('cold')) seen.push({ round, what, client: name, each, ...result });
        }
      }
    }
    if (Object.keys(instances).length > 0) console.log(`renderings, round ${round} of ${rounds}`);
  }
  await end(...Object.values(instances).flat());
  const [whats, order] = [Object.keys(CASES), Object.keys(sites)];
  const place = ({ what, client }) => whats.indexOf(what) * order.length + order.indexOf(client);
  return seen.sort((a, b) => place(a) - place(b));
}

/** So many callers ask each instance at the same moment, over connections that are open. */
async function crowd(urls, name, { each, isDue }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: each });
  const askAll = async (path) => {
    const asked = urls.flatMap((url) => Array.from({ length: each }, () => get(url + path, agent).catch(() => 0)));
    return (await Promise.all(asked)).filter((status) => status !== 200).length;
  };
  // The root answers that nothing is there, and the connections stay.
  await askAll('');
  if (isDue) {
    for (const url of [...urls, ...urls]) await get(url + name, agent);
    await sleep(DUE_MS);
  }
  const before = await rendersOf(name);
  const began = performance.now();
  const failed = await askAll(name);
  const ms = performance.now() - began;
  await sleep(SPARE_MS);
  agent.destroy();
  return { failed, ms, runs: (await rendersOf(name)) - before };
}

const TEXT = `Two instances of one build, as on two machines: ${INSTANCES} × CALLERS callers over HTTP ask for one thing at the same moment; to render it takes ${WORKS_MS} ms. *Renderings*: in both
instances, fewest to most of the rounds. *All had it*: after the first asked, median of the rounds; a page that is due may be served as it is, and rendered behind that. *Failed*: answers
other than 200, the most of a round.`;

function renderText(seen) {
  if (seen.length === 0) return '';
  const figures = table([...grouped(seen, ({ what, client }) => `${what} ${client}`).values()], {
    what: ([first]) => first.what,
    handler: ([first]) => first.client,
    renderings: (rounds) => extremes(rounds.map(({ runs }) => runs)),
    'all had it, ms': (rounds) => fixed(median(rounds.map(({ ms }) => ms)), 1),
    'slowest round': (rounds) => fixed(Math.max(...rounds.map(({ ms }) => ms)), 1),
    failed: (rounds) => integer(Math.max(...rounds.map(({ failed }) => failed))),
  });
  return `## A stampede at Next.js\n\n${TEXT.replace('CALLERS', seen[0].each)}\n\n${figures}`;
}

/** The least and the most of some numbers, or the one that all are. */
function extremes(numbers) {
  return [...new Set([Math.min(...numbers), Math.max(...numbers)])].map(integer).join('–');
}

module.exports = { measureRenders, renderText, extremes };
