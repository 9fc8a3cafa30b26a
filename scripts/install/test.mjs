// Owns `npm run test:install`: what users do. The packages are published to a registry on loopback, installed from it
// by each package manager, and applications run on each runtime, with neither Rust nor a C compiler on the PATH. Linux
// x64 only: the runtimes are npm packages of it. Prints a line for each case, then `N passed, N failed`.
// `npm run test:install -- yarn` runs the cases with that in their name.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { has, root, runCommand, SetupError } from '../command.mjs';
import { stage } from '../package/pack.mjs';
import { output as portable } from '../package/portable.mjs';
import { ensurePrograms, installDependencies } from '../setup.mjs';
import { startRegistry } from './registry.mjs';
import { checkRuntimes } from './runtimes.mjs';

const { startRedis } = createRequire(import.meta.url)(join(root, '__test__/support/redis-server'));

const tools = join(root, 'scripts/install');
const tool = (path) => join(tools, 'node_modules', path);
const BOUND_MS = 60_000;

// The managers run on one Node; what they install runs on all.
const toolNode = tool('node-22/bin/node');
const managers = {
  npm: [toolNode, npmCli(), 'install'],
  pnpm: [toolNode, tool('pnpm/bin/pnpm.mjs'), 'add'],
  'yarn 1': [toolNode, tool('yarn/bin/yarn.js'), 'add'],
  'yarn 4': [toolNode, tool('@yarnpkg/cli-dist/bin/yarn.js'), 'add'],
};

const applications = { commonjs: 'main.js', esm: 'main.js' };

// How each way of TypeScript compiles the same application.
const typescript = {
  node16: ['--module', 'node16', '--moduleResolution', 'node16'],
  bundler: ['--module', 'esnext', '--moduleResolution', 'bundler'],
};

const [filter = ''] = process.argv.slice(2);
const results = [];

async function check(name, run) {
  if (!name.includes(filter)) return;
  const started = performance.now();
  const note = await Promise.resolve()
    .then(run)
    .then(
      () => '',
      (error) => error.message,
    );
  results.push({ name, ok: note === '' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${note ? 'FAILED' : 'ok    '} ${name} (${seconds} s)${note ? `\n${note.trimEnd()}` : ''}`);
}

/** What every application prints: the main thread's share, then the worker's, which counts on from it. */
function expected(mode) {
  const computed = [1, 'zwei', null];
  return ['main', 'worker'].map((from, index) => ({ mode, value: { from }, computed, count: index + 1 }));
}

/** Runs an application in memory mode and in redis mode; it must print what is expected and end by itself. */
async function serves(command, folder, lab) {
  await expectRun(command, folder, lab, expected('memory'), {});
  await lab.redis.cli('flushall');
  await expectRun(command, folder, lab, expected('redis'), { REDIS_URL: lab.redis.url() });
  const stored = await lab.redis.cli('get', 'main');
  if (stored !== '{"from":"main"}') throw new Error(`Redis has ${stored}`);
}

async function expectRun(command, folder, lab, wanted, env) {
  const { code, signal, stdout, stderr } = await run(command, folder, {
    ...lab.env,
    HOLDFAST_TIMEOUT_MS: '5000',
    ...env,
  });
  const ended = code === 0 && isDeepStrictEqual(lastLine(stdout), wanted);
  if (!ended) throw new Error(`${signal ?? `exit ${code}`}, wanted ${JSON.stringify(wanted)}\n${stdout}${stderr}`);
}

function lastLine(stdout) {
  try {
    return JSON.parse(stdout.trimEnd().split('\n').at(-1));
  } catch {
    return null;
  }
}

function run([command, ...args], cwd, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: BOUND_MS,
      killSignal: 'SIGKILL',
    });
    const printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) {
      child[stream].setEncoding('utf8').on('data', (text) => {
        printed[stream] += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...printed }));
  });
}

/** A copy of an application, set to the registry for every package manager, with Holdfast installed. */
async function install(manager, application, lab, extra = []) {
  const folder = mkdtempSync(join(lab.folder, 'app-'));
  cpSync(join(tools, 'apps', application), folder, { recursive: true });
  writeFileSync(join(folder, '.npmrc'), `registry=${lab.registry.url}\n`);
  // What was published a second ago is refused by default: a fence against stolen packages.
  writeFileSync(join(folder, 'pnpm-workspace.yaml'), 'minimumReleaseAge: 0\n');
  writeFileSync(
    join(folder, '.yarnrc.yml'),
    [
      `npmRegistryServer: "${lab.registry.url}"`,
      'unsafeHttpWhitelist: ["127.0.0.1"]',
      'npmMinimalAgeGate: 0',
      'enableTelemetry: false',
      'enableGlobalCache: false',
      '',
    ].join('\n'),
  );
  // Without one, Yarn 4 looks for the project in the folders above; Yarn 1 does not read this one.
  if (manager === 'yarn 4') writeFileSync(join(folder, 'yarn.lock'), '');
  const { code, stdout, stderr } = await run([...managers[manager], 'holdfast', ...extra], folder, lab.env);
  if (code !== 0) throw new Error(`the installation failed\n${stdout}${stderr}`);
  return folder;
}

async function checkManagers(lab) {
  for (const manager of Object.keys(managers)) {
    // Yarn 4 keeps no node_modules; its own hook into Node resolves.
    const node = manager === 'yarn 4' ? [...managers[manager].slice(0, 2), 'node'] : [process.execPath];
    for (const [application, main] of Object.entries(applications)) {
      await check(`${manager}, ${application}`, async () => {
        await serves([...node, main], await install(manager, application, lab), lab);
      });
    }
    if (manager === 'yarn 4') continue;
    for (const [way, options] of Object.entries(typescript)) {
      await check(`${manager}, typescript as ${way}`, async () => {
        const folder = await install(manager, 'typescript', lab);
        compile(folder, options);
        await serves([process.execPath, 'out/main.js'], folder, lab);
      });
    }
  }
}

function compile(folder, options) {
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
  const args = ['main.ts', '--outDir', 'out', '--strict', '--skipLibCheck', '--target', 'es2023', ...types, ...options];
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stdout);
}

/**
 * Bundles that leave Holdfast outside, where its binary is, and bundles that run without node_modules, with the binary
 * beside them.
 */
async function checkBundlers(lab) {
  const require = createRequire(join(tools, 'package.json'));
  const esbuild = (entry, out, more) =>
    require('esbuild').build({ entryPoints: [entry], outfile: out, bundle: true, platform: 'node', ...more });
  const webpack = (entry, out, more) =>
    promisify(require('webpack'))({
      mode: 'production',
      target: 'node',
      node: { __filename: false },
      entry,
      output: { path: dirname(out), filename: basename(out) },
      ...more,
    });
  const bundlers = {
    'esbuild, external': (entry, out) => esbuild(entry, out, { external: ['holdfast'] }),
    'esbuild, copied': (entry, out) => esbuild(entry, out, { loader: { '.node': 'copy' } }),
    'webpack, external': (entry, out) => webpack(entry, out, { externals: { holdfast: 'commonjs holdfast' } }),
    'webpack, copied': (entry, out) =>
      webpack(entry, out, { module: { rules: [{ test: /\.node$/, type: 'asset/resource' }] } }),
  };
  for (const [bundler, bundle] of Object.entries(bundlers)) {
    await check(`bundled by ${bundler}`, async () => {
      const folder = await install('npm', 'commonjs', lab);
      const out = join(folder, 'dist', 'bundle.js');
      await bundle(join(folder, 'main.js'), out);
      if (bundler.endsWith('copied')) rmSync(join(folder, 'node_modules'), { recursive: true });
      await serves([process.execPath, out], folder, lab);
    });
  }
}

async function checkPackages(lab) {
  const folder = await install('npm', 'commonjs', lab);
  await check('only the package of this platform is installed', () => {
    const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
    if (installed.join() !== 'holdfast,holdfast-linux-x64-gnu') throw new Error(installed.join());
  });
  await check('without its optional dependencies the error names the package', async () => {
    const bare = await install('npm', 'commonjs', lab, ['--omit=optional']);
    const { code, stderr } = await run([process.execPath, 'main.js'], bare, lab.env);
    const said = [
      'ERR_NATIVE_BINARY',
      'holdfast-linux-x64-gnu is not installed',
      'npm install holdfast-linux-x64-gnu@',
    ];
    if (code === 0 || !said.every((text) => stderr.includes(text))) throw new Error(stderr);
  });
  await check('in a root with Node, its libraries and the application alone', () => servesInBareRoot(folder, lab));
}

/**
 * What a minimal image has: no shell, no C library's tools, no certificates. Needs the right to change the root, which
 * CI has.
 */
async function servesInBareRoot(application, lab) {
  const bare = join(lab.folder, 'root');
  mkdirSync(join(bare, 'app'), { recursive: true });
  mkdirSync(join(bare, 'tmp'));
  copyFileSync(process.execPath, join(bare, 'node'));
  for (const [, library] of execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(bare, dirname(library)), { recursive: true });
    copyFileSync(library, join(bare, library));
  }
  cpSync(application, join(bare, 'app'), { recursive: true });
  await serves(['/usr/sbin/chroot', bare, '/node', '/app/main.js'], bare, lab);
}

/** The median of what `require('holdfast')` takes in processes that have loaded nothing before. */
async function measureRequire(lab) {
  const folder = await install('npm', 'commonjs', lab);
  const script = `const t = performance.now(); require('holdfast'); console.log(performance.now() - t)`;
  const times = [];
  for (let i = 0; i < 20; i++)
    times.push(Number((await run([process.execPath, '-e', script], folder, lab.env)).stdout));
  times.sort((a, b) => a - b);
  console.log(
    `require('holdfast') takes ${times[10].toFixed(1)} ms, median of 20 processes, Node ${process.versions.node}`,
  );
}

/** The binary as it is published; where there is no Rust, the one that is there. */
function buildBinary() {
  if (has('cargo')) execFileSync(process.execPath, [join(root, 'scripts/package/portable.mjs')], { stdio: 'inherit' });
  if (!existsSync(join(portable, 'holdfast.linux-x64-gnu.node'))) {
    throw new SetupError(`no portable binary in ${portable}, and no cargo to build one`);
  }
}

function npmCli() {
  const beside = [process.env.npm_execpath, join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js')];
  const found = beside.find((path) => path && /npm-cli\.js$/.test(path) && existsSync(path));
  if (!found) throw new SetupError('npm is not where Node is: start this by `npm run test:install`');
  return found;
}

async function main() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new SetupError('this test is for Linux x64');
  installDependencies();
  installDependencies(tools);
  ensurePrograms('redis-server');
  buildBinary();

  const folder = mkdtempSync(join(tmpdir(), 'holdfast-install-'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync('/bin/sh', join(bin, 'sh'));
  const registry = await startRegistry(toolNode, join(folder, 'registry'));
  const redis = await startRedis();
  const lab = { folder, registry, redis, env: { PATH: bin, HOME: join(folder, 'home') } };
  try {
    for (const each of stage().folders) registry.publish(each);
    await checkPackages(lab);
    await checkManagers(lab);
    await checkBundlers(lab);
    await checkRuntimes({ check, install, serves, expectRun, applications }, lab);
    await measureRequire(lab);
  } finally {
    await Promise.all([registry.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
  const failed = results.filter(({ ok }) => !ok).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

await runCommand('holdfast', main);
