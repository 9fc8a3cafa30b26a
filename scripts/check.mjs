// Owns `npm run check:guarantees`: sees that there is a build to check, with all fences or one that lacks some, and
// starts the checker (check/run.js) on it.

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, runCommand } from './command.mjs';
import { buildAddon, checkRust, ensurePrograms, installDependencies } from './setup.mjs';

const usage = `npm run check:guarantees -- [options]
  --schedules N      how many schedules, from the first one of the seed on (300)
  --seconds T        and no more than begin within this time (no limit)
  --seed S           (1)
  --topology NAME    single, sentinel (a primary and its replica behind three sentinels) or cluster (three
                     primaries), each with faults of its own (single)
  --kind NAME        schedules of one kind alone (check/schedule)
  --keep-going       do not stop at the first that is violated
  --schedule I       this one alone, up to 50 times, as what it finds depends on real time, too
  --plan FILE        the plan that a report names, likewise
  --pools P          so many Redis servers with their processes side by side (2)
  --io DRIVER        who has the sockets: thread or loop (HOLDFAST_IO, else what the package does by itself)
  --mutant FENCE     a build without this fence, or \`all\` of the topology's in turn, which must be caught; with --schedule or --plan: that on such a build`;

const mutants = join(root, 'target', 'mutants');
const libraries = { linux: 'libholdfast.so', darwin: 'libholdfast.dylib', win32: 'holdfast.dll' };
const abis = { linux: '-gnu', darwin: '', win32: '-msvc' };

/** A copy of the package whose fences can be taken out; where it lies. */
function buildMutants() {
  const { platform, arch } = process;
  checkRust();
  ensurePrograms('cc');
  const build = ['cargo', 'build', '--release', '--quiet', '--features', 'mutants', '--target-dir', mutants];
  run(build, 'the build without fences does not compile');
  const folder = join(mutants, 'package');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'src/js'), join(folder, 'src/js'), { recursive: true });
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  const addon = `holdfast.${platform}-${arch}${abis[platform]}.node`;
  copyFileSync(join(mutants, 'release', libraries[platform]), join(folder, addon));
  return folder;
}

function prepare(args) {
  ensurePrograms('redis-server');
  if (args.some((arg) => arg.startsWith('--mutant'))) return ['--package', buildMutants()];
  installDependencies();
  buildAddon();
  return [];
}

await runCommand('check', () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(usage);
    return;
  }
  const checker = [join(root, 'check/run.js'), ...args, ...prepare(args)];
  process.exitCode = spawnSync(process.execPath, checker, { cwd: root, stdio: 'inherit' }).status ?? 1;
});
