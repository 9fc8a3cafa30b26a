// Owns `node check/run.js`, behind `npm run check:guarantees`: runs schedules, and says which guarantee does not hold.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { report } = require('./judge/report');
const { search } = require('./lane');
const { kindsOf, planOf } = require('./schedule');
const { shrink } = require('./shrink');
const { stopPools } = require('./stage/pool');

const ROOT = path.join(__dirname, '..');
/** One schedule is tried so often: what it finds depends on real time, too. */
const TRIES = 50;
const MUTANT_SCHEDULES = 500;
/** Where the fence matters for a moment only, in the middle of a call. */
const RARE_MUTANT_SCHEDULES = 3_000;
/** What each fence is for stands where it is: search the engine for `lacks("…")`. */
const FENCES = {
  single: [
    'placeholder',
    'own-write',
    'flight',
    'lease',
    'landing',
    'tags',
    'journal',
    'kill',
    'replay',
    'prefix',
    'cover',
    'exception',
    'mark',
    'living',
    'expire',
  ],
  // Those of several servers; the others are the same code behind one.
  sentinel: ['role'],
  cluster: ['detour', 'late', 'pinned', 'handed'],
};
/**
 * Fences of a cluster that its schedules do not show, and why. The engine's tests notice each: scripts/mutants.mjs.
 *
 * @type {{ [fence: string]: string }}
 */
const UNSEEN = {
  moved: 'servers of today push each key of a slot that goes',
  again: 'likewise',
  heir: 'what it leaves in process is seen only where the next owner is away too, later',
  leftover: 'it takes a slot that nobody serves, and its next owner away afterwards',
  stray: 'it takes a call that waits at a server for a token in the moment in which its slot leaves',
  spared: 'it takes a server that hears of a sweep only once a slot has come to it',
  epoch: 'an old answer costs detours, and breaks nothing',
};
/** What shows only in schedules of one kind is looked for in those alone. */
const KIND_OF = {
  living: 'ending',
  expire: 'lives',
  role: 'misled',
  detour: 'stream-plain',
  late: 'stream-tagged',
  pinned: 'stream-tagged',
  handed: 'behind',
};
const RARE = ['living', 'expire'];
/** After how many schedules the progress is told: those of fleets take seconds. */
const EACH = { single: 500, sentinel: 20, cluster: 20 };

const { values: args } = parseArgs({
  options: {
    schedules: { type: 'string', default: '300' },
    seconds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: '1' },
    schedule: { type: 'string' },
    plan: { type: 'string' },
    mutant: { type: 'string' },
    package: { type: 'string', default: ROOT },
    pools: { type: 'string', default: '2' },
    topology: { type: 'string', default: 'single' },
    kind: { type: 'string' },
    io: { type: 'string', default: process.env.HOLDFAST_IO ?? '' },
    'keep-going': { type: 'boolean', default: false },
  },
});

if (!(args.topology in EACH)) {
  console.error(`check: --topology is single, sentinel or cluster, not ${args.topology}`);
  process.exit(2);
}
if (args.kind !== undefined && !kindsOf(args.topology).includes(args.kind)) {
  console.error(`check: --kind is one of ${kindsOf(args.topology).join(', ')}`);
  process.exit(2);
}
const BUILD = { package: path.resolve(args.package), io: args.io, topology: args.topology };
const seed = Number(args.seed);
const pools = Number(args.pools);
const seconds = (since) => ((performance.now() - since) / 1000).toFixed(1);

/** The first `count` plans of the seed, of one kind where it is given, as far as they begin in the time there is. */
function* plansOf(count, kind = args.kind) {
  const end = performance.now() + 1000 * Number(args.seconds);
  for (let index = 0; index < count && performance.now() < end; index++) {
    yield planOf(seed, index, args.topology, kind);
  }
}

function* again(plan) {
  for (let i = 0; i < TRIES; i++) yield plan;
}

/** Keeps a plan and its history where they can be looked at, and run again; where. */
function save({ plan, raw }) {
  const folder = path.join(ROOT, 'target', 'check');
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${plan.seed}-${plan.index}.json`);
  fs.writeFileSync(file, JSON.stringify({ plan, raw }));
  return file;
}

/** Shrinks what was found, prints it, and keeps it where it can be run again. */
async function explain(result, build) {
  const { plan, found } = result;
  console.log(
    `\nschedule ${plan.index} of seed ${plan.seed} (${plan.theme}${plan.acl ? ', a user of one prefix' : ''}): ${found[0].guarantee}: ${found[0].text}`,
  );
  const smallest = result.raw === null ? { ...result, tries: 0, times: 0 } : await shrink(result, build);
  const file = save(smallest);
  console.log(report(smallest, { ...build, kind: args.kind, file: path.relative(ROOT, file) }));
}

async function checkStraight(plans, total) {
  const build = { ...BUILD, mutant: args.mutant ?? '' };
  const since = performance.now();
  const each = EACH[BUILD.topology];
  const bad = [];
  const names = ['calls', 'away', 'unknown', 'outages', 'late', 'promotions', 'losses', 'moves', 'old', 'ends'];
  const sum = Object.fromEntries(names.map((name) => [name, 0]));
  let ran = 0;
  await search(build, plans, pools, (result) => {
    ran++;
    if (result.raw !== null) add(sum, result);
    if (ran % each === 0) {
      const rate = (ran / seconds(since)).toFixed(1);
      console.log(`  ${ran} schedules, ${bad.length} violated, ${seconds(since)} s, ${rate} a second`);
    }
    if (result.found.length === 0) return false;
    bad.push(result);
    if (!args['keep-going']) return true;
    // At once: what is seen once in a thousand schedules is not to be lost with the run.
    console.log(`  schedule ${result.plan.index}: ${result.found[0].guarantee}: ${result.found[0].text}`);
    console.log(`    in ${path.relative(ROOT, save(result))}`);
    return false;
  });
  for (const result of bad.slice(0, 5)) await explain(result, build);
  console.log(`${ran} of ${total} schedules from seed ${seed} in ${seconds(since)} s: ${bad.length} violated`);
  const { calls, away, unknown, outages, late, promotions, losses, moves, old, ends } = sum;
  console.log(`${calls} calls, ${away} of them in ${outages} outages, ${unknown} as one began or ended`);
  console.log(
    `${old} values were old, as swr or grace allowed; ${ends} times a server or a process ended and was replaced`,
  );
  if (BUILD.topology !== 'single')
    console.log(`${promotions} promotions, which may have lost ${losses} changes; ${moves} slots moved`);
  console.log(
    `no call took longer than its timeoutMs and ${late.toFixed(1)} ms, where the process itself was not stopped`,
  );
  return bad.length === 0;
}

/** Adds up what the figures of a run are made of. */
function add(sum, { plan, raw: { ops, events, fleet, old, restarts, deaths } }) {
  const waits = ({ op }) => !op.startsWith('compute') && op !== 'sweep';
  const frozen = plan.faults.some(({ kind }) => kind === 'freeze');
  sum.calls += ops.length;
  sum.old += old;
  sum.ends += restarts.length + deaths.length;
  sum.promotions += fleet?.promotions.length ?? 0;
  sum.moves += fleet?.moves?.filter(({ till }) => till !== null).length ?? 0;
  sum.losses += fleet?.losable ?? 0;
  sum.outages += events.filter(({ name, place }) => name === 'fallback' && !place.endsWith('+')).length;
  for (const op of ops) {
    if (op.where === 'memory') sum.away++;
    if (op.where === 'unknown') sum.unknown++;
    if (op.place === 'foreign' || op.client === 'settle' || frozen || !waits(op)) continue;
    sum.late = Math.max(sum.late, (op.end - op.start) / 1e6 - plan.options.timeoutMs);
  }
}

/** Builds that lack a fence: each must be caught. */
async function checkMutants(mutants) {
  let caught = 0;
  for (const mutant of mutants) {
    const since = performance.now();
    let ran = 0;
    let first = null;
    await search(
      { ...BUILD, mutant },
      plansOf(RARE.includes(mutant) ? RARE_MUTANT_SCHEDULES : MUTANT_SCHEDULES, KIND_OF[mutant]),
      pools,
      (result) => {
        ran++;
        // Only what the model says counts: a process that ends is no word on a fence.
        if (result.raw !== null && result.found.length > 0) first ??= result;
        return first !== null;
      },
    );
    if (first) caught++;
    const verdict = first
      ? `caught after ${ran} schedules: ${first.found[0].guarantee}: ${first.found[0].text}`
      : `NOT CAUGHT in ${ran}`;
    console.log(
      `  without ${mutant.padEnd(12)} ${verdict} (schedule ${first?.plan.index ?? '-'}, ${seconds(since)} s)`,
    );
  }
  if (BUILD.topology === 'cluster' && mutants === FENCES.cluster)
    for (const [fence, why] of Object.entries(UNSEEN)) console.log(`  ${fence.padEnd(12)} is not looked for: ${why}`);
  console.log(`${caught} of ${mutants.length} mutants were caught`);
  return caught === mutants.length;
}

async function main() {
  if (args.plan) {
    const { plan } = JSON.parse(fs.readFileSync(args.plan, 'utf8'));
    BUILD.topology = plan.topology ?? 'single';
    return checkStraight(again(plan), TRIES);
  }
  if (args.schedule) return checkStraight(again(planOf(seed, Number(args.schedule), args.topology, args.kind)), TRIES);
  if (args.mutant) return checkMutants(args.mutant === 'all' ? FENCES[BUILD.topology] : [args.mutant]);
  const count = Number(args.schedules);
  return checkStraight(plansOf(count), count);
}

// What was started ends with us, and leaves nothing behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => stopPools().then(() => process.exit(130)));
}
main().then(
  (good) => process.exit(good ? 0 : 1),
  (error) => {
    console.error(`check: ${error.message}`);
    process.exit(2);
  },
);
