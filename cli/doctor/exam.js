// One run of the doctor: what it was told, what the steps have found out so far, and the order in which they are made.
//
// A step reads what those before it found, adds its findings to the report, and returns false where nothing behind it
// can be made. What goes wrong in a step that has no word for it (nothing came in time, the server hung up) is said
// here.
'use strict';

const { Late, Lost, ProtocolError } = require('../redis/connection.js');
const { Budget } = require('./budget.js');
const { Report } = require('./report.js');

/**
 * `source`: where the URL comes from, in words. `servername`: that the certificate must carry, where not the host.
 * @typedef {{ url: string, source: string, namespace: string, servername: string | undefined, writeTest: boolean }}
 * Given
 */
/** @typedef {import('./budget.js').Deadline} Deadline */
/**
 * `late`: what it means that nothing came in time. `skips`: the step has nothing to do.
 * @typedef {{ name: string, run: (exam: Exam, deadline: Deadline) => Promise<boolean | void> | boolean | void,
 *   late?: { measured: string, why: string, mend?: string[] }, skips?: (exam: Exam) => boolean }} Examination
 */

/** What it means that nothing came in time, where the step has no words for it. */
const SILENT = {
  measured: 'the server did not answer',
  why: 'a call that waits as long is answered in process, and counts as an outage',
  mend: ['redis-cli --latency   # is it slow, or the way to it? And redis-cli SLOWLOG GET 10'],
};

class Exam {
  /** @param {Given} given */
  constructor(given) {
    this.given = given;
    this.report = new Report();
    this.budget = new Budget();
    /** The namespace as keys have it: `name:`, or nothing. */
    this.prefix = given.namespace === '' ? '' : `${given.namespace}:`;
    this.timeoutMs = 250;
    /** Seconds, 0 for none. */
    this.heartbeat = 1;
    /** @type {import('../redis/roots.js').Trust | null} */
    this.trust = null;
    /** @type {import('../redis/target.js').Seeds | null} */
    this.seeds = null;
    /** @type {{ address: string, family: number }[]} */
    this.addresses = [];
    /** @type {import('node:net').Socket | null} */
    this.socket = null;
    /** @type {import('../redis/connection.js').Connection | null} */
    this.open = null;
    /** @type {import('../redis/target.js').Target | null} */
    this.at = null;
    /** @type {2 | 3} */
    this.protocol = 3;
    /** @type {import('../redis/refusal.js').Kind | null} how HELLO was refused */
    this.withoutHello = null;
    /** @type {Map<string, import('../redis/resp.js').Reply>} what HELLO said */
    this.hello = new Map();
    /** @type {Map<string, string>} the lines of INFO */
    this.info = new Map();
    /** @type {number | null} `timeout` of the server's configuration, in seconds; null where it may not be asked */
    this.idleSeconds = null;
    this.isCluster = false;
    this.isReplica = false;
  }

  /** The server that is examined. */
  get target() {
    if (this.at === null) throw new Error('no server is known yet');
    return this.at;
  }

  get connection() {
    if (this.open === null) throw new Error('no connection is open yet');
    return this.open;
  }

  /** The user's name for a line of the ACL, which is to be pasted; a placeholder where it is an odd one. */
  get userName() {
    const name = this.at?.user ?? 'default';
    return /^[\w.@-]{1,64}$/.test(name) ? name : 'USER';
  }

  /** @param {Examination[]} steps */
  async make(steps) {
    let goesOn = true;
    for (const step of steps) {
      if (step.skips?.(this)) continue;
      const { name } = step;
      const began = performance.now();
      const deadline = this.budget.deadline(name);
      this.report.step = name;
      /** @type {import('./report.js').Step['outcome']} */
      const outcome = goesOn ? await this.#makeOne(step, deadline) : 'skipped';
      const tookMs = Math.round((performance.now() - began) * 100) / 100;
      this.report.steps.push({ name, budgetMs: Math.round(deadline.ms), tookMs, outcome });
      goesOn = goesOn && outcome === 'done';
    }
    this.open?.close();
    this.socket?.destroy();
  }

  /**
   * @param {Examination} step
   * @param {Deadline} deadline
   */
  async #makeOne({ name, run, late }, deadline) {
    try {
      return (await run(this, deadline)) === false ? 'stopped' : 'done';
    } catch (error) {
      if (error instanceof Late) {
        const said = late ?? SILENT;
        const measured = `${said.measured} within ${Math.round(deadline.ms)} ms`;
        this.report.add('problem', `${name}.late`, { ...said, measured, data: { budgetMs: Math.round(deadline.ms) } });
        return 'late';
      }
      if (!(error instanceof Lost) && !(error instanceof ProtocolError)) throw error;
      this.report.add('problem', `${name}.lost`, {
        measured: error.message,
        why: 'the connection does not last: each time the cache falls back, and dials again',
        mend: ["redis-cli CONFIG GET timeout   # and the server's log, and those of proxies on the way"],
      });
      return 'stopped';
    }
  }
}

module.exports = { Exam };
