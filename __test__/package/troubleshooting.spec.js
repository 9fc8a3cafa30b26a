// The kinds of errors that the types promise, the engine has, and docs/troubleshooting.md explains are the same.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../support/holdfast');

const read = (...parts) => fs.readFileSync(path.join(ROOT, ...parts), 'utf8');

const union = /export type ErrorKind =(.+?);\n\n/s.exec(read('index.d.ts'))[1];
const KINDS = [...union.matchAll(/'(\w+)'/g)].map(([, kind]) => kind);

test('the engine has the kinds that the types name, and no others', () => {
  const names = [...read('src', 'engine', 'base', 'error.rs').matchAll(/Self::\w+ => "(\w+)"/g)].map(
    ([, name]) => name,
  );
  expect([...names].sort()).toEqual([...KINDS].sort());
});

test.each(KINDS)('docs/troubleshooting.md says what %s means, and what to do', (kind) => {
  const page = read('docs', 'troubleshooting.md');
  const row = new RegExp(`^\\| \`${kind}\` \\| .+ \\| .+ \\|$`, 'm');
  const symptom = new RegExp(`^\\*\\*… \`errors\\.${kind}\` grows`, 'm');
  expect(row.test(page) || symptom.test(page)).toBe(true);
});

test.each([...read('index.d.ts').matchAll(/^ {2}\| '(ERR_\w+)'/gm)].map(([, code]) => code))(
  'docs/troubleshooting.md says what to do about %s',
  (code) => {
    expect(read('docs', 'troubleshooting.md')).toContain(`\`${code}\``);
  },
);
