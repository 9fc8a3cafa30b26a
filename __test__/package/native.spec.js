// What is said where no native binary loads: which package is missing, why, and what to do.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../support/holdfast');
const { startScript } = require('../support/run-script');

const PLATFORMS = ['gnu', 'musl'].flatMap((libc) => [`linux-x64-${libc}`, `linux-arm64-${libc}`]);
PLATFORMS.push('darwin-x64', 'darwin-arm64', 'win32-x64-msvc', 'win32-arm64-msvc');
const { header } = process.report.getReport();
const ABI = { linux: header.glibcVersionRuntime ? '-gnu' : '-musl', win32: '-msvc' }[process.platform] ?? '';
const HERE = `holdfast-${process.platform}-${process.arch}${ABI}`;

/**
 * Requires a copy of the package that was published for `platforms`, beside the packages `installed` ({ name: text of
 * its binary }).
 */
async function tell({ platforms = PLATFORMS, installed = {}, before = '' }) {
  const packages = platforms && Object.fromEntries(platforms.map((platform) => [`holdfast-${platform}`, '1.2.3']));
  const source = `
    const fs = require('node:fs');
    fs.cpSync(${JSON.stringify(path.join(ROOT, 'src', 'js'))}, 'copy/holdfast/src/js', { recursive: true });
    const manifest = { name: 'holdfast', version: '1.2.3', optionalDependencies: ${JSON.stringify(packages)} };
    fs.writeFileSync('copy/holdfast/package.json', JSON.stringify(manifest));
    for (const [name, text] of Object.entries(${JSON.stringify(installed)})) {
      fs.mkdirSync('copy/holdfast/node_modules/' + name, { recursive: true });
      fs.writeFileSync('copy/holdfast/node_modules/' + name + '/index.node', text);
      fs.writeFileSync('copy/holdfast/node_modules/' + name + '/package.json', '{ "main": "index.node" }');
    }
    ${before}
    try {
      require('./copy/holdfast/src/js/index.js');
    } catch ({ name, code, message, cause }) {
      console.log(JSON.stringify({ name, code, message, cause: cause.message }));
    }`;
  const { stdout, stderr } = await startScript(source).result;
  if (stdout === '') throw new Error(`it loaded, or could not say why not:\n${stderr}`);
  const told = JSON.parse(stdout);
  expect(told).toMatchObject({ name: 'HoldfastError', code: 'ERR_NATIVE_BINARY' });
  return told;
}

test('optional dependencies left out: the package of this platform, and how to get it', async () => {
  const { message } = await tell({});
  expect(message).toContain(`${HERE} is not installed`);
  expect(message).toContain(`npm install ${HERE}@1.2.3`);
  expect(message).toMatch(/--no-optional.*--omit=optional.*lockfile from another system/);
});

test('node_modules of another system: which one it is, and where to install', async () => {
  const { message } = await tell({ installed: { 'holdfast-darwin-arm64': '' } });
  expect(message).toContain(`${HERE} is not installed. node_modules has holdfast-darwin-arm64`);
  expect(message).toMatch(/Alpine.*Install in the image that runs/);
});

test('a binary of another C library does not hide which package is missing', async () => {
  const other = HERE.endsWith('-gnu') ? HERE.replace('-gnu', '-musl') : HERE.replace('-musl', '-gnu');
  const { message } = await tell({ installed: { [other]: 'no binary' } });
  expect(message).toContain(`${HERE} is not installed. node_modules has ${other}`);
});

test('a binary that is there and does not load: what the system says', async () => {
  const { message, cause } = await tell({ installed: { [HERE]: 'no binary' } });
  expect(message).toContain(`${HERE} is installed and does not load. `);
  expect(message).toContain(cause.split('\n', 1)[0]);
});

test('a platform that nothing is published for', async () => {
  const before = "Object.defineProperty(process, 'platform', { value: 'sunos' });";
  const { message } = await tell({ before });
  expect(message).toMatch(/none is published for holdfast-sunos-\w+, only for holdfast-linux-x64-gnu, /);
});

test('a checkout without a build', async () => {
  const { message } = await tell({ platforms: null });
  expect(message).toContain('`npm run build`');
});

test('the loader looks for the packages that the release makes', async () => {
  const folder = fs.mkdtempSync(path.join(ROOT, 'target', 'manifests-'));
  try {
    const napi = path.join(ROOT, 'node_modules', '.bin', 'napi');
    execFileSync(napi, ['create-npm-dirs', '--npm-dir', path.relative(ROOT, folder)], { cwd: ROOT, stdio: 'pipe' });
    const made = fs.readdirSync(folder);
    expect(made.sort()).toEqual([...PLATFORMS].sort());
    for (const name of made.filter((each) => !each.startsWith('linux'))) {
      const [platform, arch] = name.split('-');
      const before = `for (const [name, value] of [['platform', '${platform}'], ['arch', '${arch}']])
        Object.defineProperty(process, name, { value });`;
      expect((await tell({ before })).message).toContain(`holdfast-${name} is not installed`);
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
