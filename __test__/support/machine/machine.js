// Gives child processes a machine that the test spoils: its clock (clock.c) and its threads (threads.c).
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** `env` is for the child; `moveClock(seconds)` and `allowThreads(allowed)` act on running children too. */
function makeMachine() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-machine-'));
  const libraries = ['clock', 'threads'].map((name) => {
    const library = path.join(dir, `${name}.so`);
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, path.join(__dirname, `${name}.c`), '-ldl']);
    return library;
  });
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
    remove: () => fs.rmSync(dir, { recursive: true, force: true }),
  };
}

module.exports = { makeMachine };
