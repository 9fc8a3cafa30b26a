// Owns `npm run test:mutants`: takes one fence out of the engine at a time, and sees that its tests notice.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runCommand, SetupError } from './command.mjs';
import { ensurePrograms } from './setup.mjs';

// What each fence is for stands where it is: search the engine for `lacks("…")`. The tests named here must fail without
// it.
const MUTANTS = [
  { fence: 'placeholder', tests: 'near' },
  { fence: 'own-write', tests: 'near' },
  { fence: 'max-age', tests: 'near' },
  { fence: 'budget', tests: 'budget' },
  { fence: 'flight', tests: 'flight' },
  { fence: 'living', tests: 'flight' },
  { fence: 'codec', tests: 'flight' },
  { fence: 'outdated', tests: 'processes' },
  { fence: 'lease', tests: 'processes' },
  { fence: 'landing', tests: 'processes' },
  { fence: 'tags', tests: 'processes' },
  { fence: 'journal', tests: 'journal' },
  { fence: 'replay', tests: 'journal' },
  { fence: 'unleased', tests: 'journal' },
  { fence: 'prefix', tests: 'connection' },
  { fence: 'vouch', tests: 'near' },
  { fence: 'seen', tests: 'steps' },
  { fence: 'called', tests: 'machine' },
  { fence: 'expire', tests: 'expiry' },
  { fence: 'soft', tests: 'expiry' },
  { fence: 'cover', tests: 'sweeps' },
  { fence: 'exception', tests: 'sweeps' },
  { fence: 'mark', tests: 'sweeps' },
  { fence: 'take', tests: 'processes' },
  { fence: 'null', tests: 'machine' },
  { fence: 'order', tests: 'machine' },
  { fence: 'untracked', tests: 'machine' },
  { fence: 'torn', tests: 'machine' },
  { fence: 'hot', tests: 'near' },
  { fence: 'thaw', tests: 'near' },
  { fence: 'dropped', tests: 'journal' },
  { fence: 'distrust', tests: 'refusals' },
  { fence: 'token', tests: 'refusals' },
  { fence: 'orphans', tests: 'flight' },
  { fence: 'tagged', tests: 'flight' },
  { fence: 'old-tags', tests: 'fences' },
  { fence: 'replace', tests: 'processes' },
  { fence: 'swept', tests: 'sweeps' },
  { fence: 'walk', tests: 'covers' },
  { fence: 'behind-tag', tests: 'split' },
  { fence: 'named', tests: 'value::tokens' },
  { fence: 'undone', tests: 'value::tokens' },
  { fence: 'taken', tests: 'taking' },
  { fence: 'absent', tests: 'taking' },
  { fence: 'detour', tests: 'detours' },
  { fence: 'late', tests: 'detours' },
  { fence: 'epoch', tests: 'topology' },
  { fence: 'moved', tests: 'fleet::moved' },
  { fence: 'again', tests: 'fleet::moved' },
  { fence: 'heir', tests: 'fleet::moved' },
  { fence: 'leftover', tests: 'fleet::moved' },
  { fence: 'stray', tests: 'fleet::moved' },
  { fence: 'spared', tests: 'fleet::moved' },
  { fence: 'role', tests: 'node::sentinels' },
  { fence: 'undeclared', tests: 'node::refusals' },
  { fence: 'undoing', tests: 'node::sentinels' },
];
/** Only the checker notices these (check/run.js): `npm run check:guarantees -- --mutant all`. */
const NOTICED_BY_THE_CHECKER = ['kill'];
/** And these of a cluster, as the simulator does: `npm run check:guarantees -- --topology cluster --mutant all`. */
const NOTICED_ON_CLUSTERS = ['handed', 'pinned'];

/** Every fence that can be taken out must be in one of the lists. */
function checkLists() {
  const folder = join(root, 'src/engine');
  const sources = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.rs'));
  const found = sources.flatMap((name) => [
    ...readFileSync(join(folder, name), 'utf8').matchAll(/lacks\("([^"]+)"\)/g),
  ]);
  const listed = new Set([...MUTANTS.map(({ fence }) => fence), ...NOTICED_BY_THE_CHECKER, ...NOTICED_ON_CLUSTERS]);
  const forgotten = new Set(found.map(([, fence]) => fence).filter((fence) => !listed.has(fence)));
  if (forgotten.size > 0) throw new SetupError(`no test is named for ${[...forgotten].join(', ')}`);
}

/** Runs the engine's tests that match `filter`; true where all pass. */
function passes(filter, fence) {
  const { status, stdout, stderr } = spawnSync(
    'cargo',
    ['test', '--no-default-features', '--features', 'drive,mutants', '--quiet', filter],
    { cwd: root, encoding: 'utf8', env: { ...process.env, HOLDFAST_MUTANT: fence } },
  );
  // A build that fails is no verdict.
  if (!/test result:/.test(stdout)) throw new SetupError(`the tests do not run:\n${stdout}${stderr}`);
  return status === 0;
}

await runCommand('mutants', () => {
  checkLists();
  ensurePrograms('redis-server');
  for (const filter of new Set(MUTANTS.map(({ tests }) => tests))) {
    if (!passes(filter, '')) throw new SetupError(`the tests «${filter}» fail although nothing is taken out`);
  }
  const survivors = MUTANTS.filter(({ fence, tests }) => {
    const survived = passes(tests, fence);
    console.log(`  without ${fence.padEnd(12)} ${survived ? 'NOT NOTICED' : 'noticed'} by «${tests}»`);
    return survived;
  });
  console.log(`${MUTANTS.length - survivors.length} of ${MUTANTS.length} mutants were noticed`);
  process.exitCode = survivors.length > 0 ? 1 : 0;
});
