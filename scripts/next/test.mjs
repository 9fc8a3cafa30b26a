// Owns `npm run test:next`: installs Next, checks the handlers' types against its own, and runs the kit over HTTP: one
// build, two instances, one Redis. `KIT_CACHE_HANDLER` and `KIT_USE_CACHE_HANDLER` name other handlers to run it with,
// `KIT_BUNDLER` another bundler. Arguments are the kit's files, or options of Node's test runner.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bin, root, run, runCommand } from '../command.mjs';
import { buildAddon, ensurePrograms, installDependencies } from '../setup.mjs';

const folder = join(root, '__test__/next');

await runCommand('next', () => {
  installDependencies();
  buildAddon();
  ensurePrograms('redis-server');
  installDependencies(folder);
  run([bin('tsc'), '--project', join(folder, 'types')], "the handlers' types do not fit Next's");
  const given = process.argv.slice(2);
  const options = given.filter((each) => each.startsWith('-'));
  const named = given.filter((each) => !each.startsWith('-'));
  const files = readdirSync(join(folder, 'kit')).filter((name) => name.endsWith('.test.mjs'));
  const chosen = named.length === 0 ? files : files.filter((name) => named.some((each) => name.includes(each)));
  // One file at a time: each has the site's build to itself.
  const runner = [process.execPath, '--test', '--test-concurrency=1', ...options];
  run([...runner, ...chosen.map((name) => join(folder, 'kit', name))], 'tests of the handlers of Next failed');
});
