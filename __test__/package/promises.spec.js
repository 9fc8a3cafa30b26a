// What the package promises is there: the files that `npm pack` takes, all that users need and nothing else; and the
// kinds and codes of errors that the types name, which the engine has and docs/troubleshooting.md explains.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../support/holdfast');

const manifest = require('../../package.json');

test('the package has the JavaScript, the types, and what a reader needs', () => {
  const sources = ['src/js', 'adapters', 'cli'].flatMap((folder) =>
    fs
      .readdirSync(path.join(ROOT, folder), { recursive: true })
      .map((name) => `${folder}/${name.replaceAll(path.sep, '/')}`)
      .filter((name) => fs.statSync(path.join(ROOT, name)).isFile()),
  );
  const [pack] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--loglevel', 'silent'], { cwd: ROOT, encoding: 'utf8' }),
  );
  const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'index.d.ts', 'package.json', ...sources];
  expect(pack.files.map((file) => file.path).sort()).toEqual(expected.sort());
});

test('nothing runs at installation, and nothing else is installed', () => {
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
    expect(manifest.scripts).not.toHaveProperty(hook);
  }
  for (const kind of ['dependencies', 'bundleDependencies', 'optionalDependencies']) {
    expect(manifest).not.toHaveProperty(kind); // the platforms' packages are added when the release is staged
  }
  // The frameworks of the adapters: whoever uses one has it.
  const optional = Object.keys(manifest.peerDependencies).map((name) => [name, { optional: true }]);
  expect(manifest.peerDependenciesMeta).toEqual(Object.fromEntries(optional));
});

test('all that package.json points at is in the package', () => {
  const { types, default: main } = manifest.exports['.'];
  expect([`./${manifest.main}`, `./${manifest.types}`]).toEqual([main, types]);
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  targets.push(...Object.values(manifest.bin));
  for (const file of targets) expect(fs.existsSync(path.join(ROOT, file))).toBe(true);
});

/** An application of Next has both handlers. */
const PAGES = new Map([['next-use-cache', 'next']]);
const adapters = fs.readdirSync(path.join(ROOT, 'adapters')).filter((name) => name !== 'shared');

test.each(adapters)('the adapter %s is exported with its types, and has a page and an example', (name) => {
  expect(manifest.exports[`./${name}`]).toEqual({
    types: `./adapters/${name}/index.d.ts`,
    default: `./adapters/${name}/index.js`,
  });
  const page = PAGES.get(name) ?? name;
  expect(fs.existsSync(path.join(ROOT, 'docs', 'adapters', `${page}.md`))).toBe(true);
  expect(fs.existsSync(path.join(ROOT, 'examples', page, 'package.json'))).toBe(true);
});

test('the package loads no adapter', () => {
  const script = "require('.'); console.log(Object.keys(require.cache).filter((file) => /adapters/.test(file)).length)";
  expect(execFileSync(process.execPath, ['-e', script], { cwd: ROOT, encoding: 'utf8' })).toBe('0\n');
});

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
