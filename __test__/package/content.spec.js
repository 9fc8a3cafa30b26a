// What `npm pack` puts into the package: all that users need, and nothing else.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../support/holdfast');

const manifest = require('../../package.json');

test('the package has the JavaScript, the types, and what a reader needs', () => {
  const sources = fs
    .readdirSync(path.join(ROOT, 'src', 'js'), { recursive: true })
    .map((name) => `src/js/${name.replaceAll(path.sep, '/')}`)
    .filter((name) => fs.statSync(path.join(ROOT, name)).isFile());
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
  for (const kind of ['dependencies', 'peerDependencies', 'bundleDependencies', 'optionalDependencies']) {
    expect(manifest).not.toHaveProperty(kind); // the platforms' packages are added when the release is staged
  }
});

test('all that package.json points at is in the package', () => {
  const { types, default: main } = manifest.exports['.'];
  expect([`./${manifest.main}`, `./${manifest.types}`]).toEqual([main, types]);
  for (const file of [main, types]) expect(fs.existsSync(path.join(ROOT, file))).toBe(true);
});
