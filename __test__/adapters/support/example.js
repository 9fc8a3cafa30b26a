// Runs an example as its reader would, over a real Redis that is killed and started again in the middle: every request
// has to be answered, before, meanwhile and afterwards.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { keptPort, startRedis } = require('../../support/redis-server');
const { until } = require('../../support/until');

const EXAMPLES = path.join(__dirname, '../../../examples');
/** Below this package, so that what the example requires is what the tests have installed. */
const PLACE = path.join(__dirname, '../node_modules');
const ROUNDS = 20;

/**
 * Copies an example to where it finds what the tests have installed, and starts it. `aliases`: what it calls by a name
 * under which another version is installed here.
 */
function startExample(name, redisUrl, aliases) {
  const dir = fs.mkdtempSync(path.join(PLACE, '.example-'));
  for (const file of fs.readdirSync(path.join(EXAMPLES, name)).filter((each) => each !== 'node_modules')) {
    fs.cpSync(path.join(EXAMPLES, name, file), path.join(dir, file), { recursive: true });
  }
  fs.mkdirSync(path.join(dir, 'node_modules'));
  for (const [alias, installed] of Object.entries(aliases)) {
    fs.symlinkSync(path.join(PLACE, installed), path.join(dir, 'node_modules', alias));
  }
  const { start } = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8')).scripts;
  const [, ...args] = start.split(' '); // `npm start` would stand between us and the process
  // An adapter that requires its framework finds it here, as it would where it is installed.
  args.unshift('--preserve-symlinks');
  return startProgram(args, dir, redisUrl, { tidyUp: () => fs.rmSync(dir, { recursive: true, force: true }) });
}

/**
 * Starts a program that says on which port it listens, by default a free one, and gives its address; `stop()` ends it
 * and tidies up.
 */
async function startProgram(args, cwd, redisUrl, { port = 0, tidyUp = () => {} } = {}) {
  const environment = { PORT: String(port), HOST: '127.0.0.1', REDIS_URL: redisUrl, HOLDFAST_LOG: 'silent' };
  const env = { PATH: process.env.PATH, ...environment };
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    tidyUp();
  };
  try {
    const found = await until(() => {
      if (child.exitCode !== null) throw new Error(`the example ended:\n${output}`);
      return /listening (?:on )?(?:http:\S*:)?(\d+)/i.exec(output)?.[1];
    }, 'the example listens');
    return { url: `http://127.0.0.1:${found}`, stop, output: () => output };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Asks for `paths` again and again while Redis runs, after it was killed, and once it is back; each answer has one of
 * the statuses `allowed`. `/health` tells the mode. `check(answers, mode, redis, output)` is given all answers of a
 * phase, as [path, status, text], the server, and what gives all that the example has printed. `launch(redisUrl)`: how
 * the example is started.
 */
async function servesThroughOutage(name, paths, { allowed = [200], check = () => {}, aliases = {}, launch } = {}) {
  const redis = await startRedis({ pickPort: keptPort });
  let example;
  try {
    example = await (launch?.(redis.url()) ?? startExample(name, redis.url(), aliases));
    const ask = async (each) => {
      const response = await fetch(example.url + each, { signal: AbortSignal.timeout(60_000) });
      return [each, response.status, await response.text()];
    };
    const untilMode = (mode) => until(async () => JSON.parse((await ask('/health'))[2]).mode === mode, `mode ${mode}`);
    const phase = async (mode) => {
      const answers = [];
      for (let round = 0; round < ROUNDS; round++) answers.push(...(await Promise.all(paths.map(ask))));
      const failed = answers.filter(([, status]) => !allowed.includes(status));
      if (failed.length > 0) throw new Error(`${failed.length} requests failed:\n${example.output()}`);
      await check(answers, mode, redis, () => example.output());
    };
    await untilMode('redis');
    await phase('redis');
    await redis.kill('SIGKILL');
    await phase('unknown');
    await untilMode('memory');
    await phase('memory');
    await redis.restart();
    await untilMode('redis');
    await phase('redis');
  } finally {
    await example?.stop();
    await redis.stop();
  }
}

module.exports = { EXAMPLES, servesThroughOutage, startProgram };
