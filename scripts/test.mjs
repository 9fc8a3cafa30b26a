// Owns `npm test`: every check of the project, from a bare clone, in one run. Cheap steps come first, the build and
// Jest last. Prints a heading, the time and a verdict for each step, then a summary, then `N passed, N failed` over all
// tests.

import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bin, readJson, root, SetupError } from './command.mjs';
import { buildAddon, checkRust, ensurePrograms, installDependencies, packageFolders } from './setup.mjs';

const usage = `npm test [-- options] [-- arguments of the one selected step]
  --only STEP    run this step and what it needs; may be repeated
  --keep-going   go on after a failure
  --list         name the steps

  npm test -- --only jest -- contract -t 'getMany'`;

const jestResults = join(root, 'target/jest-results.json');
const adapterResults = join(root, 'target/adapter-results.json');
const types = join('__test__', 'types');
const DAY = 86_400_000;
/** The seed of what runs at random: another one each day, the same all day, so that a failed run can be repeated. */
const today = String(Math.floor(Date.now() / DAY));

/**
 * A step is a function or a list of commands. `needs` names the steps that a selection of this one brings along;
 * `count` gives the tests that it ran as { passed, failed, skipped }, from what it printed or wrote.
 */
const steps = {
  setup: { run: setup },
  layers: { commands: [['node', 'scripts/layers.mjs']] },
  columns: { commands: [['node', 'scripts/columns.mjs']] },
  rustfmt: { commands: [['cargo', 'fmt', '--all', '--check']] },
  biome: { needs: ['setup'], commands: [[bin('biome'), 'ci', '--error-on-warnings', '.']] },
  types: {
    needs: ['setup'],
    commands: [
      [bin('tsc'), '--project', types],
      [bin('tsc'), '--project', types, '--module', 'preserve', '--moduleResolution', 'bundler'],
    ],
  },
  jsdoc: { needs: ['setup'], commands: [[bin('tsc'), '--project', root]] },
  clippy: {
    needs: ['setup'],
    commands: [
      ['cargo', 'clippy', '--all-targets', '--', '-D', 'warnings'],
      ['cargo', 'clippy', '--all-targets', '--no-default-features', '--features', 'drive', '--', '-D', 'warnings'],
      ['cargo', 'clippy', '--all-targets', '--no-default-features', '--', '-D', 'warnings'],
      ['cargo', 'clippy', '--all-targets', '--package', 'holdfast-sim', '--', '-D', 'warnings'],
    ],
  },
  engine: {
    needs: ['setup'],
    commands: [['cargo', 'test', '--no-default-features', '--features', 'drive', '--no-fail-fast']],
    count: countCargoTests,
  },
  simulator: {
    needs: ['setup'],
    commands: [['cargo', 'test', '--package', 'holdfast-sim', '--no-fail-fast']],
    count: countCargoTests,
  },
  simulation: {
    needs: ['setup'],
    commands: [
      ['node', 'scripts/simulate.mjs', '--seconds', '60', '--seed', today],
      // Of several servers the same ones each day: their model is young. A search elsewhere is for who has the time.
      ...['sentinel', 'cluster'].map((topology) => [
        ...['node', 'scripts/simulate.mjs', '--topology', topology],
        ...['--seed', '1', '--schedules', '2000'],
      ]),
    ],
  },
  mutants: { needs: ['setup'], commands: [['node', 'scripts/mutants.mjs']] },
  addon: { needs: ['setup'], run: buildAddon },
  guarantees: {
    needs: ['setup', 'addon'],
    commands: [
      ...['thread', 'loop'].map((io) => ['--schedules', '300', '--io', io]),
      // A failover takes seconds.
      ['--topology', 'sentinel', '--schedules', '60', '--seconds', '60'],
      ['--topology', 'cluster', '--schedules', '100', '--seconds', '60'],
    ].map((args) => ['node', 'scripts/check.mjs', '--seed', today, ...args]),
  },
  jest: {
    needs: ['setup', 'addon'],
    commands: [[bin('jest'), '--json', `--outputFile=${jestResults}`]],
    count: () => countJestTests(jestResults),
  },
  adapters: {
    needs: ['setup', 'addon'],
    commands: [['node', 'scripts/adapters/test.mjs', '--json', `--outputFile=${adapterResults}`]],
    count: () => countJestTests(adapterResults),
  },
};

function setup() {
  checkRust();
  for (const folder of packageFolders) installDependencies(folder);
  ensurePrograms('cc', 'redis-server', 'openssl');
}

function countCargoTests(output) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    sum.passed += Number(passed);
    sum.failed += Number(failed);
    sum.skipped += Number(ignored);
  }
  return sum;
}

function countJestTests(file) {
  const results = readJson(file);
  return {
    passed: results.numPassedTests,
    // A file that does not load has no tests to fail, and counts as one.
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

/** Runs a command, shown as it goes; resolves to what it printed. Rejects where it fails, with the output attached. */
function execute([command, ...args], capture) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['inherit', capture ? 'pipe' : 'inherit', 'inherit'] });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('error', (error) => reject(new SetupError(`${command}: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else
        reject(
          Object.assign(new SetupError(`${basename(command)} ended with ${signal ?? `exit ${code}`}`), { output }),
        );
    });
  });
}

async function runStep(name, extraArguments) {
  const { commands = [], run, count } = steps[name];
  const result = { name, ok: true, note: '', tests: null };
  const started = performance.now();
  console.log(`\n=== ${name}`);
  let output = '';
  try {
    run?.();
    for (const command of commands) output += await execute([...command, ...extraArguments], count === countCargoTests);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    output += error.output ?? '';
    Object.assign(result, { ok: false, note: error.message });
  }
  result.tests = count ? countOrFail(count, output, result) : null;
  result.seconds = (performance.now() - started) / 1000;
  console.log(`=== ${name}: ${verdict(result)}`);
  return result;
}

/** A step that should have run tests and ran none has not passed. */
function countOrFail(count, output, result) {
  try {
    const tests = count(output);
    if (tests.passed + tests.failed > 0) return tests;
  } catch {
    // No results file: the runner did not get that far.
  }
  if (result.ok) Object.assign(result, { ok: false, note: 'no test ran' });
  return null;
}

function verdict({ ok, seconds, note, tests }) {
  const parts = [ok ? 'ok' : 'FAILED', `${seconds.toFixed(1)} s`];
  if (tests) parts.push(formatCount(tests));
  if (note) parts.push(note);
  return parts.join(', ');
}

function formatCount({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}

function summarize(results, selected) {
  console.log('\n=== summary');
  for (const name of selected) {
    const result = results.find((candidate) => candidate.name === name);
    console.log(`${name.padEnd(10)} ${result ? verdict(result) : 'not run'}`);
  }
  const counts = results.flatMap(({ tests }) => tests ?? []);
  const sum = (kind) => counts.reduce((total, tests) => total + tests[kind], 0);
  if (counts.length > 0) {
    console.log(formatCount({ passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }));
  }
}

/** The selected steps and all that they need, in the order of the table. */
function select(only) {
  const wanted = new Set();
  const add = (name) => {
    if (!steps[name]) throw new Error(`no step is called ${name}; the steps are ${Object.keys(steps).join(', ')}`);
    wanted.add(name);
    for (const need of steps[name].needs ?? []) add(need);
  };
  for (const name of only) add(name);
  return Object.keys(steps).filter((name) => wanted.has(name));
}

function parseCommandLine(argv) {
  const split = argv.indexOf('--');
  const { values } = parseArgs({
    args: split === -1 ? argv : argv.slice(0, split),
    options: {
      only: { type: 'string', multiple: true, default: Object.keys(steps) },
      'keep-going': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const extra = split === -1 ? [] : argv.slice(split + 1);
  if (extra.length > 0 && values.only.length !== 1) throw new Error('arguments after -- need exactly one --only STEP');
  return { ...values, selected: select(values.only), extra };
}

async function main() {
  const options = parseCommandLine(process.argv.slice(2));
  if (options.help) return console.log(usage);
  if (options.list) return console.log(Object.keys(steps).join('\n'));

  mkdirSync(join(root, 'target'), { recursive: true });
  for (const file of [jestResults, adapterResults]) rmSync(file, { force: true });
  const results = [];
  for (const name of options.selected) {
    const failedNeed = (steps[name].needs ?? []).some((need) => results.some((done) => done.name === need && !done.ok));
    if (failedNeed) continue;
    const result = await runStep(name, options.only[0] === name ? options.extra : []);
    results.push(result);
    if (!result.ok) process.exitCode = 1;
    if (!result.ok && !options['keep-going']) break;
  }
  summarize(results, options.selected);
}

main().catch((error) => {
  console.error(`npm test: ${error.message}\n\n${usage}`);
  process.exitCode = 2;
});
