// Owns which processors a process may use. The kernel is told by `taskset`, which Linux alone has.
'use strict';

const { execFileSync } = require('node:child_process');

/** Why processes cannot be pinned here, or undefined. */
function whyNotPinned() {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'it needs `taskset` to keep a process on one processor: Linux has it, in the package util-linux';
  }
}

/** The processors that a process may use, as `taskset` lists them: `0-3`, or `2,5`. */
function processorsOf(pid) {
  const said = execFileSync('taskset', ['-c', '-p', String(pid)], { encoding: 'utf8' });
  return said.slice(said.lastIndexOf(':') + 1).trim();
}

/** The first processor of such a list. */
function firstOf(processors) {
  return /^\d+/.exec(processors)[0];
}

/** Moves all threads of a process, and with them those it will start, to the processors of a list. */
function pin(pid, processors) {
  execFileSync('taskset', ['-a', '-c', '-p', processors, String(pid)], { stdio: 'ignore' });
}

module.exports = { whyNotPinned, processorsOf, firstOf, pin };
