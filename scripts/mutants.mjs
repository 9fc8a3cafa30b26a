// Owns `npm run test:mutants`: takes one fence out of the engine at a time, and sees that its tests notice.

import { spawnSync } from 'node:child_process';
import { ensurePrograms, root, SetupError } from './setup.mjs';

// What each fence is for stands where it is: search the engine for `lacks("…")`. The tests named here must fail without it.
const MUTANTS = [
  { fence: 'placeholder', tests: 'near' },
  { fence: 'own-write', tests: 'near' },
  { fence: 'max-age', tests: 'near' },
  { fence: 'budget', tests: 'budget' },
  { fence: 'flight', tests: 'flight' },
  { fence: 'lease', tests: 'processes' },
  { fence: 'landing', tests: 'processes' },
  { fence: 'tags', tests: 'processes' },
  { fence: 'journal', tests: 'journal' },
];

/** Runs the engine's tests that match `filter`; true where all pass. */
function passes(filter, fence) {
  const { status, stdout, stderr } = spawnSync(
    'cargo',
    ['test', '--no-default-features', '--features', 'mutants', '--quiet', filter],
    { cwd: root, encoding: 'utf8', env: { ...process.env, HOLDFAST_MUTANT: fence } },
  );
  // A build that fails is no verdict.
  if (!/test result:/.test(stdout)) throw new SetupError(`the tests do not run:\n${stdout}${stderr}`);
  return status === 0;
}

try {
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
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`mutants: ${error.message}`);
  process.exitCode = 1;
}
