// What the release checks in a Linux binary, tried on the addon under test and on a library that must not pass.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('../support/folder');
const { ROOT } = require('../support/holdfast');

const LIBC = process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl';

function check(file) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/package/portable.mjs', '--check', file], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

test('the addon shows its registration and no other symbol, and keeps to its size', () => {
  const file = fs.readdirSync(ROOT).find((name) => name.startsWith(`holdfast.${process.platform}-${process.arch}`));
  const { said } = check(file);
  expect(said).toContain('exports  napi_register_module_v1\n');
  expect(said).not.toContain('bytes, ');
});

test('the addon allocates with mimalloc: freed entries do not hold up the event loop', () => {
  const { stderr } = spawnSync(process.execPath, ['-e', 'require(".")'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, MIMALLOC_VERBOSE: '1' },
  });
  expect(stderr).toContain('mimalloc: v2.');
});

test('a library with other exports, or that needs a newer glibc or other libraries, is refused', () => {
  const folder = makeFolder('binary');
  try {
    const source = path.join(folder.dir, 'library.c');
    const library = path.join(folder.dir, `holdfast.linux-x64-${LIBC}.node`);
    fs.writeFileSync(
      source,
      `#define _GNU_SOURCE
       #include <sys/stat.h>
       int napi_register_module_v1(void) { return statx(0, "", 0, 0, 0); } /* glibc 2.28 */
       int leaked(void) { return 1; }`,
    );
    const flags = ['-shared', '-fPIC', '-Wl,--no-as-needed', '-lgcc_s'];
    expect(spawnSync('cc', ['-o', library, source, ...flags])).toMatchObject({ status: 0 });
    const { status, said } = check(library);
    expect(status).toBe(1);
    const glibc = LIBC === 'gnu' ? 'it needs glibc 2\\.28, the baseline is 2\\.17; ' : '';
    expect(said).toMatch(new RegExp(`is not portable: ${glibc}it needs libgcc_s\\.so\\.1; it exports leaked,`));
  } finally {
    folder.remove();
  }
});
