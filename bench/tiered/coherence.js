// Owns the page `coherence`: how soon do near caches see a write? One process writes 100 keys as fast as it can, four
// read them and look at the versions.
'use strict';

const { fixed, integer, median, table } = require('../lab/figures');
const { ask, end } = require('../lab/lab');
const { runPage } = require('../lab/page');

const defaults = { rounds: 7, seconds: 1 };

const READERS = 4;
/** Milliseconds between two looks at all keys; 0 is a reader that does nothing else. */
const PACES = [5, 0];

const INTRODUCTION = `\`npm run bench -- coherence\` wrote this page. One process sets 100 keys as fast as it can for SECONDS s, ${READERS} others read all of them again and again, in one turn, through
their near caches. Every value is a version. *Backwards* counts reads that gave an older version than the same reader had seen before. *Last write seen* is the
time from the moment at which the writer's last \`set\` had resolved until a reader had seen the last version of every key: the median and the slowest over
all readers of ROUNDS rounds. Readers that pause for 0 ms are busy all the time, so that ${READERS + 1} processes and the server share the machine's
processors: the time then is mostly that of waiting for one.`;

function run(options) {
  return runPage(options, { kind: 'cache', known: ['holdfast'], packages: ['holdfast'] }, measureAll, report);
}

async function measureAll(lab, _names, options) {
  const rounds = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const pause of PACES) rounds.push({ round, pause, readers: await measureOne(lab, pause, options) });
    console.log(`round ${round} of ${options.rounds}`);
  }
  return rounds;
}

async function measureOne(lab, pause, { seconds }) {
  const start = () => lab.start(require.resolve('./coherence-worker'), [lab.url]);
  const readers = await Promise.all(Array.from({ length: READERS }, start));
  const writer = await start();
  try {
    await Promise.all(readers.map((reader) => ask(reader, { begin: pause })));
    const last = await ask(writer, { write: seconds });
    return await Promise.all(readers.map((reader) => ask(reader, { last })));
  } finally {
    await end(...readers, writer);
  }
}

function report(rounds) {
  const rows = PACES.map((pause) => {
    const readers = rounds.filter((round) => round.pause === pause).flatMap((round) => round.readers);
    const delays = readers.map(({ delay }) => delay);
    const sum = (name) => readers.reduce((total, reader) => total + reader[name], 0);
    return { pause, reads: sum('reads'), near: sum('near'), backwards: sum('backwards'), delays };
  });
  const figures = table(rows, {
    'pause ms': ({ pause }) => pause,
    reads: ({ reads }) => integer(reads),
    'near hits': ({ near, reads }) => `${fixed((near / reads) * 100, 1)} %`,
    backwards: ({ backwards }) => backwards,
    'last write seen, median ms': ({ delays }) => fixed(median(delays), 1),
    'slowest ms': ({ delays }) => fixed(Math.max(...delays), 1),
  });
  const title = 'How soon near caches see a write';
  return { name: 'coherence', title, about: INTRODUCTION, figures, raw: { rounds } };
}

module.exports = { run, defaults };
