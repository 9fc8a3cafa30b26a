// Owns what the commands of this folder share: where the project lies, programs that must succeed, errors that say what
// to do, and how a command ends.
// Node built-ins only: setup.mjs and test.mjs use it before node_modules exist.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** An error whose message says what to do, and needs no stack. */
export class SetupError extends Error {}

/** Whether the module at this URL is the one that Node was started with. */
export function isMain(url) {
  return process.argv[1] !== undefined && url === pathToFileURL(process.argv[1]).href;
}

/** Runs the main function of a command. A SetupError becomes one line behind its name, and exit code 1. */
export async function runCommand(name, main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}

/** Runs a program to its end, shown as it goes; throws `failure` and the reason where it does not succeed. */
export function run([command, ...args], failure, options) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error || status !== 0) throw new SetupError(`${failure} (${error?.message ?? `exit ${status}`})`);
}

/** Whether a program is on the PATH. */
export function has(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The path of a program of the development dependencies. */
export function bin(name) {
  return join(root, 'node_modules/.bin', name);
}

export function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
