// Runs the command line as its users do: in a process of its own, to its end.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const { ROOT } = require('./holdfast');
const { cleanEnv } = require('./run-script');

const PROGRAM = path.join(ROOT, 'cli', 'holdfast.js');
/** A bound against hangs alone. The doctor's own promise is in its report. */
const BOUND_MS = 60_000;
/** What a run of the doctor may take, with the start of Node and the printing of the report. */
const PROMISED_MS = 5_000;
/** From the best to the worst; the exit codes go with them. */
const LEVELS = ['ok', 'note', 'warning', 'problem'];
const CODES = [0, 0, 1, 2];

/**
 * Resolves to { code, signal, stdout, stderr }. `env`: beside an environment that configures nothing. `reads`: false
 * goes away before a line is read.
 */
function runCli(args, { env = {}, reads = true } = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: cleanEnv({ NO_COLOR: undefined, FORCE_COLOR: undefined, ...env }),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BOUND_MS,
    killSignal: 'SIGKILL',
  });
  const result = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      result[name] += text;
    });
  }
  if (!reads) child.stdout.destroy();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ ...result, code, signal }));
  });
}

/**
 * The doctor's report of a server, by its JSON document; `url: null` gives none. What every report promises is
 * expected of this one, too. `secrets`: what it must not hold; the password of the URL is one by itself.
 */
async function examine(url, { args = [], env = {}, secrets = [] } = {}) {
  const run = await runCli(['doctor', ...(url === null ? [] : [url]), '--json', ...args], { env });
  expect(run.stderr).toBe('');
  const report = JSON.parse(run.stdout);
  const text = run.stdout;
  for (const secret of [...secrets, ...passwordsOf(url ?? env.REDIS_URL ?? '')]) expect(text).not.toContain(secret);
  expect(run.code).toBe(report.exitCode);
  expect(report.budgetMs).toBeLessThan(PROMISED_MS);
  // No step may wait beyond the end, whatever those before it took.
  let before = 0;
  for (const { name, budgetMs, tookMs } of report.steps) {
    expect({ name, within: budgetMs === 0 || before + budgetMs <= report.budgetMs + 1 }).toEqual({
      name,
      within: true,
    });
    before += tookMs;
  }
  const levels = report.findings.map(({ level }) => LEVELS.indexOf(level));
  expect(report.exitCode).toBe(CODES[Math.max(...levels)]);
  for (const { id, level, measured, why, mend } of report.findings) {
    expect({ id, measured }).toEqual({ id, measured: expect.stringMatching(/./) });
    if (level === 'ok') expect({ id, why, mend }).toEqual({ id, why: null, mend: [] });
    else expect({ id, why }).toEqual({ id, why: expect.stringMatching(/./) });
    if (level === 'warning' || level === 'problem') expect({ id, mends: mend.length > 0 }).toEqual({ id, mends: true });
  }
  return { ...report, ids: report.findings.map(({ id }) => id) };
}

/** The finding with this id, which there must be, of this level and with a mend that fits. */
function expectFinding(report, id, level, mend = /./) {
  expect(report.ids).toContain(id);
  const finding = report.findings.find((each) => each.id === id);
  expect({ id, level: finding.level }).toEqual({ id, level });
  expect(finding.mend.join('\n')).toMatch(mend);
  return finding;
}

function passwordsOf(url) {
  try {
    const { password } = new URL(url);
    return password === '' ? [] : [password, decodeURIComponent(password)];
  } catch {
    return [];
  }
}

module.exports = { runCli, examine, expectFinding };
