// Owns `npm run test:adapters`: installs the frameworks, checks the adapters' types against theirs, and runs the tests
// of all adapters, or of those that are named: `npm run test:adapters -- keyv session`. What begins with a dash goes to
// Jest.

import { join } from 'node:path';
import { bin, root, run, runCommand } from '../command.mjs';
import { buildAddon, ensurePrograms, installDependencies } from '../setup.mjs';

const folder = join(root, '__test__/adapters');

await runCommand('adapters', () => {
  installDependencies();
  buildAddon();
  ensurePrograms('redis-server');
  installDependencies(folder);
  // A test builds this example with what it has of its own.
  installDependencies(join(root, 'examples/nitro'));
  run([bin('tsc'), '--project', join(folder, 'types')], "the adapters' types do not fit the frameworks'");
  const chosen = process.argv.slice(2).map((name) => (name.startsWith('-') ? name : `/adapters/${name}/`));
  // Some frameworks are ES modules alone, which Jest loads with this flag.
  const jest = [process.execPath, '--experimental-vm-modules', join(root, 'node_modules/jest/bin/jest.js')];
  run([...jest, '--config', join(folder, 'jest.config.js'), ...chosen], 'tests of the adapters failed');
});
