// Owns the registry of the install test: a verdaccio on loopback that has nothing but what is published to it.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root, SetupError } from '../command.mjs';

const require = createRequire(import.meta.url);
const { freePort } = require('../../__test__/support/redis-server');
const { until } = require('../../__test__/support/until');

/** Starts it in an empty folder, run by a Node that verdaccio supports; ends with `stop()`. */
export async function startRegistry(node, folder) {
  const port = await freePort('127.0.0.1');
  const url = `http://127.0.0.1:${port}/`;
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'scripts/install/verdaccio.yaml'), join(folder, 'config.yaml'));
  const verdaccio = join(root, 'scripts/install/node_modules/verdaccio/bin/verdaccio');
  const child = spawn(node, [verdaccio, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '', HOME: folder },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
  }
  // The driver may end by a signal or an error of its own.
  process.once('exit', () => child.kill('SIGKILL'));
  await until(() => {
    if (child.exitCode !== null) throw new SetupError(`verdaccio does not start:\n${log}`);
    return answers(url);
  }, 'verdaccio answers');
  return {
    url,
    publish: (packageFolder) => publish(packageFolder, url, join(folder, 'npmrc'), () => log),
    stop: () => {
      child.kill('SIGTERM');
      return new Promise((resolve) => child.once('exit', resolve));
    },
  };
}

async function answers(url) {
  try {
    return (await fetch(`${url}-/ping`)).ok;
  } catch {
    return false;
  }
}

function publish(packageFolder, url, npmrc, log) {
  // npm publishes with credentials only; the registry takes any.
  writeFileSync(npmrc, `registry=${url}\n${url.slice('http:'.length)}:_authToken=none\n`);
  const { status, stderr } = spawnSync('npm', ['publish', '--userconfig', npmrc, '--loglevel', 'error'], {
    cwd: packageFolder,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new SetupError(`npm cannot publish ${packageFolder}:\n${stderr}\n${log()}`);
}
