// Owns what a fresh clone needs: npm dependencies, the programs the tests start, the release build of the addon.
// `npm run setup` does it all; test.mjs and the demo call the parts they need. Each part does nothing where nothing is
// missing, and throws a SetupError that says what to do where it cannot help itself.
// Node built-ins only, here, in command.mjs and in test.mjs: they run before node_modules exist.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { has, isMain, readJson, root, run, runCommand, SetupError } from './command.mjs';

/**
 * The folders with dependencies of their own: the package has none at run time, what is compared with it and what shows
 * it does.
 */
export const packageFolders = [root, join(root, 'bench'), join(root, 'examples/analytics')];

/** The programs that the build and the tests start, and the package that has each for each package manager. */
const programs = {
  cc: { 'apt-get': 'build-essential', apk: 'build-base', dnf: 'gcc', brew: 'gcc' },
  'redis-server': { 'apt-get': 'redis-server', apk: 'redis', dnf: 'redis', brew: 'redis' },
  openssl: { 'apt-get': 'openssl', apk: 'openssl', dnf: 'openssl', brew: 'openssl' },
};

const packageManagers = {
  'apt-get': { refresh: ['apt-get', 'update'], install: ['apt-get', 'install', '--yes', '--no-install-recommends'] },
  apk: { install: ['apk', 'add', '--no-cache'] },
  dnf: { install: ['dnf', 'install', '--assumeyes'] },
  // Homebrew refuses to run as root, and needs no right beyond the user's own.
  brew: { install: ['brew', 'install'], asUser: true },
};

/** Installs what the lock file of a folder names, where it is not installed yet. */
export function installDependencies(folder = root) {
  if (dependenciesInstalled(folder)) return;
  run(['npm', 'ci', '--no-audit', '--no-fund'], 'npm could not install the dependencies', { cwd: folder });
}

/** Compares what npm noted in node_modules with the lock file: times mean nothing after a checkout. */
function dependenciesInstalled(folder) {
  const installedLock = join(folder, 'node_modules/.package-lock.json');
  if (!existsSync(installedLock)) return false;
  const { packages: installed } = readJson(installedLock);
  const { packages: wanted } = readJson(join(folder, 'package-lock.json'));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      !path.startsWith('node_modules/') || optional || installed[path]?.version === version,
  );
}

export function checkRust() {
  if (!has('cargo')) throw new SetupError('cargo missing: install Rust from https://rustup.rs, then try again');
}

/** Builds the addon in release unless it is newer than all that it is made of. */
export function buildAddon() {
  const built = addonTime();
  if (built && built >= newestSourceTime()) return;
  checkRust();
  ensurePrograms('cc');
  run(['npm', 'run', 'build'], 'the addon does not build');
  if (!addonTime()) throw new SetupError(`the build made no holdfast.${process.platform}-${process.arch}*.node`);
}

function addonTime() {
  const addon = readdirSync(root).find(
    (name) => name.startsWith(`holdfast.${process.platform}-${process.arch}`) && name.endsWith('.node'),
  );
  return addon && statSync(join(root, addon)).mtimeMs;
}

function newestSourceTime() {
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .map((name) => join('src', name))
    .filter((name) => name.endsWith('.rs') && !name.includes(join('engine', 'tests')));
  const times = [...sources, 'Cargo.toml', 'Cargo.lock', 'build.rs'].map(
    (name) => statSync(join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times);
}

/** Makes sure that programs are there, through the system's package manager where that is permitted. */
export function ensurePrograms(...wanted) {
  const missing = wanted.filter((program) => !has(program));
  if (missing.length === 0) return;
  const managerName = Object.keys(packageManagers).find(has);
  const names = missing.join(' and ');
  if (!managerName) throw new SetupError(`${names} missing: install it and put it on the PATH, then try again`);

  const { refresh, install, asUser } = packageManagers[managerName];
  const packages = missing.map((program) => programs[program][managerName]);
  const prefix = asUser ? [] : rootPrefix();
  const advice = `${names} missing: run \`${[...(asUser ? [] : ['sudo']), ...install, ...packages].join(' ')}\`, then try again`;
  if (!prefix) throw new SetupError(`${advice} (this user is not root, and sudo asks for a password)`);

  // A refresh may fail for one stale source of many and the package still be there: the install decides.
  if (refresh) spawnSync(prefix[0] ?? refresh[0], [...prefix, ...refresh].slice(1), { stdio: 'inherit' });
  run([...prefix, ...install, ...packages], advice);
  if (missing.includes('redis-server') && managerName === 'apt-get') stopSystemRedis(prefix);
  const stillMissing = missing.filter((program) => !has(program));
  if (stillMissing.length > 0) throw new SetupError(advice);
}

/** Debian starts a service with the package. The tests and the demo start servers of their own, on free ports. */
function stopSystemRedis(prefix) {
  const command = [...prefix, 'service', 'redis-server', 'stop'];
  spawnSync(command[0], command.slice(1), { stdio: 'ignore' });
}

/**
 * What to put before a command for root's rights: nothing, sudo without a password, or null where neither is possible.
 */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  const sudo = has('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo ? ['sudo', '-n'] : null;
}

if (isMain(import.meta.url)) {
  await runCommand('holdfast', () => {
    checkRust();
    for (const folder of packageFolders) installDependencies(folder);
    ensurePrograms(...Object.keys(programs));
    buildAddon();
    console.log('holdfast: set up, `npm test` and `npm run demo` can run');
  });
}
