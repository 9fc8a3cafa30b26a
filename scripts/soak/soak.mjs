// Owns `npm run test:soak`: what takes too long for every run. Each part prints its figures and whether they are as
// they must be.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bin, root } from '../command.mjs';

const require = createRequire(import.meta.url);
const { startRedis } = require('../../__test__/support/redis-server');
const { makeMachine } = require('../../__test__/support/machine/machine');
const { startScript } = require('../../__test__/support/run-script');

const usage = `npm run test:soak [-- --only NAME]...
  terminations   1,000 worker threads ended in the middle of calls, in each mode and with either driver (HOLDFAST_TEST_TERMINATIONS)
  paused         our own process stopped for 60 seconds, four times
  many           getMany of 1,000,000 keys that are all there
  stopped        Redis stopped under 200 callers: 1,000,000 calls
  outage         ten minutes of outage under load, on a clock that runs twenty times as fast
  kept           full tiers against resident memory, in memory mode with tags and in an outage with a full map of hot values
  reconnects     10,000 connections lost and made again, on a clock that runs fifty times as fast`;

const parts = {
  terminations: () =>
    jest(['process/life/workers', '-t', 'fault 38: threads ended'], {
      HOLDFAST_TEST_TERMINATIONS: process.env.HOLDFAST_TEST_TERMINATIONS ?? '1000',
    }),
  paused: () => jest(['process/time/time', '-t', 'fault 43'], { HOLDFAST_TEST_STOPPED_MS: '60000' }),

  many: () =>
    child(
      'many',
      async ({ script }) => script.result,
      ({ right, stallMs, inFlight }) => [
        ['every value is right', right === 1_000_000],
        ['nothing is left in flight', inFlight === 0],
        ['the event loop is never held up for a second', stallMs < 1_000],
      ],
    ),

  stopped: () =>
    child(
      'stopped',
      async ({ server, script }) => {
        await script.says('loaded');
        await server.kill('SIGSTOP');
        script.child.stdin.write('stopped\n');
        await script.says('all settled');
        await server.kill('SIGCONT');
        script.child.stdin.write('back\n');
        return script.result;
      },
      ({ begun, settled, rejected, firstMs, p99Ms, recovered }) => [
        ['every call has settled', begun === settled && begun >= 1_000_000],
        ['none was rejected', rejected === 0],
        ['the first are answered within timeoutMs + 50 ms', firstMs <= 300],
        ['p99 is below 1 ms from the second second on', p99Ms < 1],
        ['redis mode came back by itself', recovered],
      ],
    ),

  outage: () =>
    child(
      'outage',
      async ({ server, script }) => {
        await script.says('loaded');
        await server.kill('SIGSTOP');
        script.child.stdin.write('stopped\n');
        return script.result;
      },
      ({ minutes, grownMb, dials }) => [
        ['ten minutes passed', minutes >= 10],
        ['resident memory grew by less than 10 MB after the warm-up', grownMb < 10],
        ['the server was dialled again and again', dials > 20],
      ],
      { speed: 20, nodeArgs: ['--expose-gc'] },
    ),

  kept: () =>
    child(
      'kept',
      async ({ server, script }) => {
        for (const part of ['tagged', 'stored', 'hot']) await script.says(part);
        await server.kill('SIGSTOP');
        script.child.stdin.write('stopped\n');
        return script.result;
      },
      ({ tagged, hot, outage }) => [
        ['entries with tags take what is counted, within a fifth', within(tagged)],
        ['the near cache and hot values take what is counted, within a fifth', within(hot)],
        ['hot values are a part of it', hot.hot > 10],
        ['in the outage no more is counted than maxMemory', outage.most <= outage.max],
        ['and resident memory grew by less than 5 MB after the warm-up', outage.grownMb < 5],
      ],
      { nodeArgs: ['--expose-gc'] },
    ),

  reconnects: () =>
    child(
      'reconnects',
      async ({ script }) => script.result,
      ({ reconnects, before, after, troubles, grownMb }) => [
        ['10,000 connections were made', reconnects >= 10_000],
        [
          'file descriptors, threads, handles and listeners are as many as before',
          JSON.stringify(before) === JSON.stringify(after),
        ],
        ['no error was unhandled, and no warning came', troubles.length === 0],
        ['resident memory grew by less than 10 MB', grownMb < 10],
      ],
      { speed: 50, nodeArgs: ['--expose-gc'] },
    ),
};

/** Whether a process grew by what is counted. */
function within({ counted, grown }) {
  return counted / grown > 1 / 1.2 && counted / grown < 1.2;
}

function jest(args, env) {
  const { status } = spawnSync(bin('jest'), ['--verbose', ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status === 0;
}

/**
 * Runs a program of scripts/soak beside a server of its own. `drive` tells it what happens, and resolves when it has
 * ended; `judge` gives what must be true of the figures that it printed last.
 */
async function child(name, drive, judge, { speed = 1, nodeArgs = [] } = {}) {
  const server = await startRedis();
  const machine = makeMachine();
  const env = { REDIS_URL: server.url(), SOAK_SOCKET: server.socket, HOLDFAST_LOG: 'silent' };
  if (speed > 1) Object.assign(env, machine.env, { HOLDFAST_TEST_CLOCK_SPEED: String(speed) });
  const source = `require(${JSON.stringify(join(root, 'scripts/soak', `${name}.cjs`))})`;
  const script = startScript(source, { env, nodeArgs, input: true, boundMs: 1_800_000 });
  try {
    const { stdout, stderr, code } = await drive({ server, script });
    if (code !== 0) throw new Error(`${name} ended with ${code}:\n${stdout}${stderr}`);
    const figures = JSON.parse(stdout.trimEnd().split('\n').at(-1));
    console.log(figures);
    const verdicts = judge(figures);
    for (const [what, ok] of verdicts) console.log(`  ${ok ? 'ok    ' : 'FAILED'} ${what}`);
    return verdicts.every(([, ok]) => ok);
  } finally {
    script.kill('SIGKILL');
    await script.result;
    await server.stop();
    machine.remove();
  }
}

async function main() {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true }, help: { type: 'boolean' } } });
  const names = values.only ?? Object.keys(parts);
  const unknown = names.filter((name) => !(name in parts));
  if (values.help || unknown.length > 0) {
    console.log(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  for (const name of names) {
    const began = performance.now();
    console.log(`\n=== ${name}`);
    const ok = await parts[name]();
    console.log(`=== ${name}: ${ok ? 'ok' : 'FAILED'}, ${((performance.now() - began) / 1000).toFixed(1)} s`);
    if (!ok) process.exitCode = 1;
  }
}

await main();
