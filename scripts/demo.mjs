// Owns `npm run demo`: sets up what the demo of examples/analytics needs, then runs it with the arguments it was given.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, runCommand, SetupError } from './command.mjs';
import { buildAddon, ensurePrograms, installDependencies } from './setup.mjs';

const example = join(root, 'examples/analytics');

function setup() {
  installDependencies();
  buildAddon();
  installDependencies(example);
  if (!process.env.REDIS_URL) preferRedis();
}

/** The demo has less to show without a server, but it runs. */
function preferRedis() {
  try {
    ensurePrograms('redis-server');
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.warn(`demo: ${error.message}`);
  }
}

await runCommand('demo', () => {
  setup();
  const demo = spawn(process.execPath, [join(example, 'demo.js'), ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to the demo as well; a signal sent to this process alone is passed on.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => demo.kill('SIGTERM'));
  demo.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
});
