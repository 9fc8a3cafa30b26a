// Owns the way from plans to judged histories: a lane runs one plan after the other, on a pool of its own.
'use strict';

const { check } = require('./judge/model');
const { Pool } = require('./stage/pool');

class Lane {
  #build;
  #pool;

  /** @param {{ package: string, mutant: string, io: string }} build */
  static async start(build) {
    const lane = new Lane();
    lane.#build = build;
    lane.#pool = await Pool.start(build);
    return lane;
  }

  /**
   * Runs a plan and judges its history: `{ plan, raw, found }`. A process that dies or hangs is a violation without a
   * history, and the end of its pool: the next plan has another.
   */
  async attempt(plan) {
    try {
      const raw = await this.#pool.run(plan);
      return { plan, raw, found: check(plan, raw) };
    } catch (error) {
      await this.stop();
      this.#pool = await Pool.start(this.#build);
      return { plan, raw: null, found: [{ guarantee: 'G6', text: error.message, calls: [] }] };
    }
  }

  stop() {
    return this.#pool.stop();
  }
}

/** Runs the plans on several lanes; `judged` is told of each result, and ends the search by returning true. */
async function search(build, plans, lanes, judged) {
  let over = false;
  const run = async () => {
    const lane = await Lane.start(build);
    try {
      for (let next = plans.next(); !next.done && !over; next = plans.next()) {
        const result = await lane.attempt(next.value);
        if (!over && judged(result)) over = true;
      }
    } finally {
      await lane.stop();
    }
  };
  await Promise.all(Array.from({ length: lanes }, run));
}

module.exports = { Lane, search };
