// Gives child processes a machine that the test spoils: its clock (clock.c), its threads (threads.c), or the resolver
// of its names (resolver.c). Each wraps functions of the C library and is preloaded.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('../folder');

/** Compiles a C source beside this file; returns the path of the library. */
function compile(name, dir) {
  const library = path.join(dir, `${name}.so`);
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, path.join(__dirname, `${name}.c`), '-ldl']);
  return library;
}

/** `env` is for the child; `moveClock(seconds)` and `allowThreads(allowed)` act on running children too. */
function makeMachine() {
  const { dir, remove } = makeFolder('machine');
  const libraries = ['clock', 'threads'].map((name) => compile(name, dir));
  const clock = path.join(dir, 'clock');
  const noThreads = path.join(dir, 'no-threads');
  const moveClock = (seconds) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    // In place: children have it mapped.
    fs.writeFileSync(clock, bytes, { flag: fs.existsSync(clock) ? 'r+' : 'w' });
  };
  moveClock(0);
  return {
    env: {
      LD_PRELOAD: libraries.join(':'),
      HOLDFAST_TEST_CLOCK: clock,
      HOLDFAST_TEST_NO_THREADS: noThreads,
    },
    moveClock,
    allowThreads: (allowed) => (allowed ? fs.rmSync(noThreads, { force: true }) : fs.writeFileSync(noThreads, '')),
    remove,
  };
}

/** `env` is for the child; `answer({ 'name.test': 'address…' })` replaces all answers, for running children too. */
function makeResolver() {
  const { dir, remove } = makeFolder('resolver');
  const library = compile('resolver', dir);
  const hosts = path.join(dir, 'hosts');
  const answer = (names) => {
    const text = Object.entries(names).map(([name, addresses]) => `${name} ${addresses}\n`);
    fs.writeFileSync(`${hosts}.new`, text.join(''));
    fs.renameSync(`${hosts}.new`, hosts);
  };
  answer({});
  return { env: { LD_PRELOAD: library, HOLDFAST_TEST_HOSTS: hosts }, answer, remove };
}

module.exports = { makeMachine, makeResolver };
