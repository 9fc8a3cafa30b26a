// Gives child processes a resolver whose answers the test controls: the C library's getaddrinfo, wrapped (see
// resolver.c).
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** `env` is for the child; `answer({ 'name.test': 'address…' })` replaces all answers, for running children too. */
function makeResolver() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-resolver-'));
  const library = path.join(dir, 'resolver.so');
  const hosts = path.join(dir, 'hosts');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, path.join(__dirname, 'resolver.c'), '-ldl']);
  const answer = (names) => {
    const text = Object.entries(names).map(([name, addresses]) => `${name} ${addresses}\n`);
    fs.writeFileSync(`${hosts}.new`, text.join(''));
    fs.renameSync(`${hosts}.new`, hosts);
  };
  answer({});
  return {
    env: { LD_PRELOAD: library, HOLDFAST_TEST_HOSTS: hosts },
    answer,
    remove: () => fs.rmSync(dir, { recursive: true, force: true }),
  };
}

module.exports = { makeResolver };
