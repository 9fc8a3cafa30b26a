// How long a trip takes, beside the deadline of a call; and how far the two clocks are apart.
'use strict';

const { ReplyError } = require('../../redis/connection.js');
const { text } = require('../../redis/resp.js');
const { millis } = require('../report.js');

/** PINGs, one behind the other. Fewer where they would take longer than the step has. */
const PINGS = 200;
/** Part of the step's time that they may take. */
const SHARE = 0.8;
/** Part of `timeoutMs` that a trip may take before it is a warning. */
const LONG_PART = 0.5;
/** Milliseconds that the clocks may be apart. */
const CLOCKS_APART_MS = 1_000;

/** @type {import('../exam.js').Examination} */
const latency = {
  name: 'latency',
  async run(exam, deadline) {
    const { connection, report, timeoutMs } = exam;
    await clock(exam, deadline);
    /** @type {number[]} */
    const took = [];
    const end = deadline.ms * (1 - SHARE);
    while (took.length === 0 || (took.length < PINGS && deadline.left() > end)) {
      const began = performance.now();
      await deadline.race(connection.ask('PING'));
      took.push(performance.now() - began);
    }
    took.sort((a, b) => a - b);
    const at = (/** @type {number} */ part) => took[Math.min(took.length - 1, Math.floor(took.length * part))];
    const [p50, p99] = [at(0.5), at(0.99)];
    const measured = `${took.length} PINGs: p50 ${millis(p50)}, p99 ${millis(p99)}; a call waits ${timeoutMs} ms`;
    const data = { pings: took.length, p50Ms: p50, p99Ms: p99, timeoutMs };
    const wanted = Math.ceil((p99 * 4) / 50) * 50;
    if (p99 < timeoutMs * LONG_PART) report.ok('latency.short', measured, data);
    else {
      const beyond = p50 >= timeoutMs;
      report.add(beyond ? 'problem' : 'warning', beyond ? 'latency.beyond' : 'latency.long', {
        measured,
        why: beyond
          ? 'nearly no call is answered in time: each of them is an outage'
          : 'a trip that takes a little longer than these is an outage, and the cache falls back',
        mend: [`HOLDFAST_TIMEOUT_MS=${wanted}   # or a server that is nearer`],
        data,
      });
    }
  },
};

/**
 * @param {import('../exam.js').Exam} exam
 * @param {import('../exam.js').Deadline} deadline
 */
async function clock({ connection, report }, deadline) {
  const before = Date.now();
  const reply = await deadline.race(connection.ask('TIME'));
  const here = (before + Date.now()) / 2;
  if (reply instanceof ReplyError || !Array.isArray(reply)) return;
  const [seconds, micros] = reply.map((part) => Number(text(part)));
  const apart = Math.round(seconds * 1000 + micros / 1000 - here);
  const data = { apartMs: apart };
  if (Math.abs(apart) < CLOCKS_APART_MS) {
    report.ok('clock.agrees', `the clocks of this machine and of the server are ${Math.abs(apart)} ms apart`, data);
    return;
  }
  report.add('warning', 'clock.apart', {
    measured: `the server's clock is ${Math.abs(apart / 1000).toFixed(1)} s ${apart > 0 ? 'ahead of' : 'behind'} this one`,
    why: 'expiresAt is taken by the clock here, tagTimes by the one there; TTLs are not affected',
    mend: ['timedatectl set-ntp true   # on both machines; timedatectl timesync-status tells which one is wrong'],
    data,
  });
}

module.exports = { latency };
