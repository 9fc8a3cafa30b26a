// Owns `npm run check:simulation`: builds the simulator (sim/), with all fences or with those that can be taken out,
// and starts it.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, run, runCommand } from './command.mjs';
import { checkRust, ensurePrograms } from './setup.mjs';

/** Builds the simulator; where its program lies. */
function build(mutants) {
  checkRust();
  ensurePrograms('cc');
  // A folder of its own: the addon's build has other features, and each would build the engine anew for the other.
  const target = join(root, 'target', mutants ? 'simulation-mutants' : 'simulation');
  const features = mutants ? ['--features', 'mutants'] : [];
  const command = ['cargo', 'build', '--quiet', '--package', 'holdfast-sim', '--profile', 'sim', ...features];
  run([...command, '--target-dir', target], 'the simulator does not compile');
  return join(target, 'sim', process.platform === 'win32' ? 'holdfast-sim.exe' : 'holdfast-sim');
}

await runCommand('simulation', () => {
  const args = process.argv.slice(2);
  const mutants = args.includes('--mutant');
  const one = mutants ? args[args.indexOf('--mutant') + 1] : undefined;
  const env = one === undefined || one === 'all' ? process.env : { ...process.env, HOLDFAST_MUTANT: one };
  process.exitCode = spawnSync(build(mutants), args, { cwd: root, stdio: 'inherit', env }).status ?? 1;
});
