// Owns `npm run test:fault -- 13`: the tests of one fault by its number, or of several. docs/faults.md lists them.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bin, root } from './command.mjs';

const usage = 'npm run test:fault -- NUMBER... [-- arguments of Jest]; docs/faults.md lists the faults';
const tests = join(root, '__test__');

/** The spec files with a test of one of these faults. What lies in contract/ is run by the suite over all modes. */
function specsOf(faults) {
  const named = new RegExp(`\\bfault (${faults.join('|')}):`);
  const files = readdirSync(tests, { recursive: true }).filter((file) => file.endsWith('.js'));
  const specs = files
    .filter((file) => named.test(readFileSync(join(tests, file), 'utf8')))
    .map((file) => (file.startsWith('contract/') ? 'contract.spec.js' : file));
  return [...new Set(specs)].map((file) => relative(root, join(tests, file)));
}

const split = process.argv.indexOf('--', 2);
const faults = process.argv.slice(2, split === -1 ? undefined : split);
const specs = faults.length > 0 && faults.every((fault) => /^\d+$/.test(fault)) ? specsOf(faults) : [];
if (specs.length === 0) {
  console.error(
    `test:fault: ${faults.length === 0 ? 'which fault?' : `no test of fault ${faults.join(' or ')}`}\n${usage}`,
  );
  process.exitCode = 2;
} else {
  const named = `\\bfault (${faults.join('|')}):`;
  const extra = split === -1 ? [] : process.argv.slice(split + 1);
  const { status } = spawnSync(bin('jest'), ['--verbose', '-t', named, ...extra, '--runTestsByPath', ...specs], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}
