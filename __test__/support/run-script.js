// Runs Node scripts in child processes, in a directory where `require('holdfast')` finds this package.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('./folder');
const { ROOT } = require('./holdfast');
const { until } = require('./until');

/** A temporary directory whose `node_modules/holdfast` is this package. */
function makeProject(files = {}) {
  const { dir, remove } = makeFolder('project');
  fs.mkdirSync(path.join(dir, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(dir, 'node_modules', 'holdfast'), 'dir');
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), text);
  return { dir, remove };
}

/** The environment without what configures the cache or comes from Jest, plus `env`. */
function cleanEnv(env) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(REDIS_URL|HOLDFAST_(?!(TEST_SERVER|IO)$)|NODE_OPTIONS$|NODE_ENV$|JEST_|VALKEY_|KEYDB_)/.test(name),
  );
  return { ...Object.fromEntries(kept), ...env };
}

/**
 * Starts `source` as a script. `script.result` resolves to { code, signal, stdout, stderr, ms, hung } when it has
 * ended, at the latest after `boundMs`, when it is killed and `hung` is true. `script.says(text)` waits until it has
 * printed the text.
 */
function startScript(
  source,
  { env = {}, args = [], esm = false, input = false, boundMs = 100_000, nodeArgs = [] } = {},
) {
  const name = esm ? 'main.mjs' : 'main.js';
  const project = makeProject({ [name]: source });
  const began = Date.now();
  const child = spawn(process.execPath, [...nodeArgs, name, ...args], {
    cwd: project.dir,
    env: cleanEnv(env),
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  const script = { child, stdout: '', stderr: '', kill: (signal) => child.kill(signal) };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      script[stream] += text;
    });
  }
  script.result = new Promise((resolve, reject) => {
    let hung = false;
    const bound = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, boundMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(bound);
      project.remove();
      const { stdout, stderr } = script;
      resolve({ code, signal, stdout, stderr, ms: Date.now() - began, hung });
    });
  });
  script.says = (text) =>
    until(() => {
      if (script.stdout.includes(text)) return true;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`the script ended before it said ${text}:\n${script.stdout}${script.stderr}`);
      }
      return false;
    }, `the script says ${text}`);
  return script;
}

/** Runs `source` to its end; see `startScript`. */
function runScript(source, options) {
  return startScript(source, options).result;
}

/** Runs a script that must end well by itself; resolves to the JSON text on its last line of output. */
async function runForJson(source, options) {
  const result = await runScript(source, options);
  if (result.code !== 0) throw new Error(`the script failed: ${JSON.stringify(result, null, 2)}`);
  return JSON.parse(result.stdout.trimEnd().split('\n').at(-1));
}

module.exports = { startScript, runScript, runForJson, makeProject, cleanEnv };
