// What a stretch of work cost this process: wall time, CPU of all threads, event-loop time, CPU of the main thread.
'use strict';

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

function start() {
  return {
    at: performance.now(),
    loop: performance.eventLoopUtilization(),
    cpu: process.cpuUsage(),
    main: mainThreadMicros(),
  };
}

/** The cost since `started`, everything but `seconds` in microseconds; `mainMicros` is null where there is no /proc. */
function stop(started) {
  const cpu = process.cpuUsage(started.cpu);
  const main = mainThreadMicros();
  return {
    seconds: (performance.now() - started.at) / 1000,
    cpuMicros: cpu.user + cpu.system,
    loopMicros: performance.eventLoopUtilization(started.loop).active * 1000,
    mainMicros: main === null ? null : main - started.main,
  };
}

/**
 * Event-loop time is wall time outside the poll, so a preempted loop looks busy; the kernel's own account of the main
 * thread (whose id is the process id) does not have this flaw. The first field of schedstat is nanoseconds on a CPU.
 */
function mainThreadMicros() {
  try {
    return Number(fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1000;
  } catch {
    return null;
  }
}

module.exports = { start, stop };
