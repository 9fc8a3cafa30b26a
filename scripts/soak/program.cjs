// Owns what the programs of this folder share: how they wait for a mode and for a word of soak.mjs, and how they end.
'use strict';

const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

let lines;

/** Waits for a line of soak.mjs, which says that the server is stopped, or goes on. */
function word() {
  lines ??= readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  return lines.next();
}

/** Waits until the cache is in `mode`. There is no bound: soak.mjs ends a program that hangs. */
async function inMode(cache, mode, everyMs = 10) {
  while (cache.getMode() !== mode) await sleep(everyMs);
}

/** Resident memory once garbage is collected; the program runs with `--expose-gc`. */
function collectedRss() {
  global.gc();
  return process.memoryUsage.rss();
}

/** Runs a program: prints the figures that it resolves to on the last line, then ends the process. */
async function run(program) {
  console.log(JSON.stringify(await program()));
  process.exit();
}

module.exports = { word, inMode, collectedRss, run, sleep };
