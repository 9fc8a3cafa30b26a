// Applications that are traced or bundled, and then run in a folder that has nothing but the result: the native binary
// is found by its literal name.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { nodeFileTrace } = require('@vercel/nft');
const esbuild = require('esbuild');
const { makeFolder } = require('../support/folder');
const { ROOT } = require('../support/holdfast');
const { cleanEnv } = require('../support/run-script');

const BINARY = fs.readdirSync(ROOT).find((name) => /^holdfast\..+\.node$/.test(name));
const PLATFORM_PACKAGE = BINARY.replace(/^holdfast\.(.+)\.node$/, 'holdfast-$1');
const SERVED = { value: { n: 1 }, mode: 'memory', worker: 1 };
const REST = `
  const serve = async () => {
    await set('k', { n: 1 });
    const { ready } = holdfast;
    console.log(JSON.stringify({ value: await get('k'), mode: await ready(), worker: await increment('counter') }));
  };
  serve();`;
const SOURCES = {
  'main.cjs': `const holdfast = require('holdfast');\nconst { get, increment, set } = holdfast;${REST}`,
  'main.mjs': `import holdfast, { get, increment, set } from 'holdfast';${REST}`,
};
// What an ES module of esbuild needs for whatever it leaves to Node.
const BANNER = [
  "import { createRequire } from 'node:module';",
  "import { dirname } from 'node:path';",
  "import { fileURLToPath } from 'node:url';",
  'const require = createRequire(import.meta.url);',
  'const __filename = fileURLToPath(import.meta.url);',
  'const __dirname = dirname(__filename);',
].join('\n');

let made;
let folder;
beforeEach(() => {
  made = makeFolder('bundled');
  folder = made.dir;
});
afterEach(() => made.remove());

/**
 * An application with the package in its node_modules, as npm installs it from the registry, or as a link to this
 * checkout.
 */
function makeApplication({ linked = false } = {}) {
  const application = path.join(folder, 'application');
  const modules = path.join(application, 'node_modules');
  fs.mkdirSync(modules, { recursive: true });
  for (const [name, text] of Object.entries(SOURCES)) fs.writeFileSync(path.join(application, name), text);
  if (linked) {
    fs.symlinkSync(ROOT, path.join(modules, 'holdfast'));
    return application;
  }
  const platform = path.join(modules, PLATFORM_PACKAGE);
  fs.mkdirSync(platform);
  fs.copyFileSync(path.join(ROOT, BINARY), path.join(platform, BINARY));
  fs.writeFileSync(path.join(platform, 'package.json'), JSON.stringify({ name: PLATFORM_PACKAGE, main: BINARY }));
  const manifest = { ...require('../../package.json'), optionalDependencies: { [PLATFORM_PACKAGE]: '*' } };
  fs.mkdirSync(path.join(modules, 'holdfast'));
  fs.writeFileSync(path.join(modules, 'holdfast', 'package.json'), JSON.stringify(manifest));
  fs.cpSync(path.join(ROOT, 'src', 'js'), path.join(modules, 'holdfast', 'src', 'js'), { recursive: true });
  return application;
}

/** Runs the result where nothing else is, and expects that it serves. */
function expectServes(file) {
  fs.rmSync(path.join(folder, 'application'), { recursive: true, force: true });
  const { stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, env: cleanEnv(), encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual(SERVED);
}

const bundle = (entry, outdir, options) =>
  esbuild.build({ entryPoints: [entry], outdir, bundle: true, platform: 'node', logLevel: 'silent', ...options });

describe.each(Object.keys(SOURCES))('%s', (main) => {
  const esm = main.endsWith('.mjs');
  const form = esm
    ? { format: 'esm', outExtension: { '.js': '.mjs' }, banner: { js: BANNER } }
    : { format: 'cjs', outExtension: { '.js': '.cjs' } };

  test('traced by @vercel/nft: the files that it names are all that is needed', async () => {
    const application = makeApplication();
    const { fileList } = await nodeFileTrace([path.join(application, main)], { base: application });
    for (const file of fileList) {
      const copy = path.join(folder, 'traced', file);
      fs.mkdirSync(path.dirname(copy), { recursive: true });
      fs.copyFileSync(path.join(application, file), copy);
    }
    expectServes(path.join(folder, 'traced', main));
  });

  test('traced from an application that is linked to a checkout: the binary that was built there', async () => {
    const application = makeApplication({ linked: true });
    const { fileList } = await nodeFileTrace([path.join(application, main)], { base: '/' });
    expect([...fileList]).toContain(path.join(fs.realpathSync(ROOT), BINARY).slice(1));
  });

  test.each(['copy', 'file'])('bundled by esbuild, which copies the binary (loader %s)', async (loader) => {
    const outdir = path.join(folder, 'bundle');
    const { warnings } = await bundle(path.join(makeApplication(), main), outdir, {
      ...form,
      loader: { '.node': loader },
    });
    expect(warnings).toEqual([]);
    expect(fs.readdirSync(outdir)).toHaveLength(2);
    expectServes(path.join(outdir, main));
  });

  test('bundled by esbuild with holdfast external', async () => {
    const application = makeApplication();
    const outdir = path.join(folder, 'bundle');
    await bundle(path.join(application, main), outdir, { ...form, external: ['holdfast'] });
    fs.cpSync(path.join(application, 'node_modules'), path.join(outdir, 'node_modules'), { recursive: true });
    expectServes(path.join(outdir, main));
  });
});

test('a bundle without the binary says what to do', async () => {
  const application = makeApplication();
  fs.rmSync(path.join(application, 'node_modules', PLATFORM_PACKAGE), { recursive: true });
  const outdir = path.join(folder, 'bundle');
  await bundle(path.join(application, 'main.cjs'), outdir, {});
  const { status, stderr } = spawnSync(process.execPath, [path.join(outdir, 'main.js')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/ERR_NATIVE_BINARY/);
  expect(stderr).toContain(`this is a bundle without the one for ${PLATFORM_PACKAGE}; keep holdfast external`);
});
