// How long things took, counted by fixed bounds: what a histogram of getCounters() is made of.
//
// Bounds that never change let the counts of many processes be added up, which percentiles do not. Each is counted in
// one place only, so that adding one is a short walk; they are added up for whoever looks. What lies in Rust is
// counted in the same way (src/engine/fleet/server.rs).
'use strict';

/** @typedef {import('../../../index').Histogram} Histogram */
/**
 * `counts`: how many took no longer than each bound and longer than the one before it; last those beyond all bounds.
 * @typedef {{ bounds: number[], counts: number[], sum: number }} Counted
 */

/** Seconds: from a look-up in memory to the default of `hardTimeout`. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How long the functions of one cache took. */
class Durations {
  constructor() {
    this.bounds = BOUNDS;
    this.counts = new Array(BOUNDS.length + 1).fill(0);
    this.sum = 0;
  }

  /** @param {number} ms */
  add(ms) {
    const seconds = ms / 1000;
    let at = 0;
    while (at < BOUNDS.length && seconds > BOUNDS[at]) at++;
    this.counts[at]++;
    this.sum += seconds;
  }
}

/**
 * Each bucket with all below it, as Prometheus wants them.
 * @param {Counted} counted
 * @returns {Histogram}
 */
function histogramOf({ bounds, counts, sum }) {
  let count = 0;
  const buckets = [];
  for (let at = 0; at < bounds.length; at++) {
    count += counts[at];
    buckets.push(count);
  }
  return { bounds: [...bounds], buckets, count: count + counts[bounds.length], sum };
}

module.exports = { Durations, histogramOf };
