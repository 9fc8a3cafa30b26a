// Owns what the judge knows of a server that ended and started anew, and of processes that died in the middle of their
// calls: what may be lost with them, and what of it may come back.
//
// - **A server that starts with nothing** has lost all, and gives nothing back.
// - **A server that starts from its file** has lost what took effect since that was saved. A value that the file has
//   may be back, though it was ended since: the server has lost its end, and no client can help that. What a process
//   had ended while Redis was away is in its journal, and is ended again where the process comes back behind the start.
// - **A process that dies** takes its journal with it: what it had ended while Redis was away others may read. What it
//   had under way takes effect or not, as long as the network still has bytes of it; nothing does so later. Nobody
//   renews its leases: who waits for one of its computations computes when the lease has ended.
'use strict';

const SECOND = 1e9;

/** What a lease that nobody renews lives, and how long an engine, the network and a busy machine take besides. */
const LEASE = 3 * SECOND;
const PATIENCE = 2 * SECOND;
/** From when on nothing of a process that died is on its way to the server: its socket is closed then. */
const SILENCE = 0.05 * SECOND;

class Mishaps {
  #history;

  /** @param {{ restarts?: any[], deaths?: any[] }} raw @param {any} history whose `ops` and `backOf` are asked later */
  constructor({ restarts = [], deaths = [] }, history) {
    this.restarts = restarts;
    this.deaths = deaths;
    this.#history = history;
  }

  /** From when on nothing takes effect any more that a process had called: `Infinity` for one that lives. */
  silentFrom(process) {
    const death = this.deaths.find((each) => each.process === process);
    return death === undefined ? Infinity : death.silent + SILENCE;
  }

  /** Whether what a call changed may be undone for a later one: of a value where it is given, else of a counter. */
  undoes(change, read, write) {
    if (this.restarts.length === 0 && this.deaths.length === 0) return false;
    const journaled = change.where !== 'redis';
    const back = this.#history.backOf(change, change.end ?? Infinity);
    const swept = journaled && this.#isSwept(change, back);
    const died = ({ process, at }) =>
      journaled && change.process === process && read.process !== process && (swept || back > at);
    const restarted = (restart) => {
      const { down, up, snapshot } = restart;
      if (read.end < down) return false;
      if (write === undefined) return change.start <= down && (snapshot === null || change.until >= snapshot[0]);
      if (snapshot === null || !restores(restart, write, change)) return false;
      // The journal is replayed when its process is back; what it sweeps may be swept before.
      if (journaled && (swept ? change.start <= up : back <= up && back >= snapshot[0])) return true;
      return change.where !== 'memory' && change.start <= down && (change.end ?? Infinity) >= snapshot[0];
    };
    return this.deaths.some(died) || this.restarts.some(restarted);
  }

  /** Whether a call of an outage is a sweep, or was made beside one: its keys are in no journal then. */
  #isSwept(change, back) {
    if (change.op === 'sweep') return true;
    const { ops } = this.#history;
    const isBeside = (op) => op.op === 'sweep' && op.process === change.process && op.where !== 'redis';
    return ops.some(
      (op) => isBeside(op) && op.start <= (change.end ?? Infinity) && this.#history.backOf(op, op.end) === back,
    );
  }

  /** Whether all that the server had at first is gone. */
  get hasEmptied() {
    return this.restarts.some(({ snapshot }) => snapshot === null);
  }

  /** What takes values away that nobody ended. */
  losses() {
    return this.restarts.map(({ down, up }) => ({ op: { op: 'loss', start: down, until: up }, covers: () => true }));
  }

  /** By when a caller that waits has the value of somebody else, or one of its own, as a process died. */
  *lateFor(op) {
    for (const death of this.deaths) {
      const waited = op.end - Math.max(op.start, death.at);
      if (op.process !== death.process && waited > LEASE + PATIENCE) yield { death, waited };
    }
  }
}

/** Whether a value may be in a file, or be stored on what the file has of its computation. */
function restores({ snapshot, down }, write, change) {
  // A process that ends a key stores none of its own computations of it, whatever the server has.
  const mine = write.op.process === change.process;
  const computed = !mine && write.kind === 'compute' && write.start <= snapshot[1] && write.until >= down;
  return write.stored <= snapshot[1] || computed;
}

module.exports = { SECOND, Mishaps };
