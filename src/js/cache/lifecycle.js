// The life of a cache: it opens with the first call, tells how it fares, and ends once what is under way has settled.
'use strict';

const { LateVariables } = require('../base/environment.js');
const { closed } = require('../base/errors.js');
const { dateNow, parse, stringify } = require('../base/host.js');
const { Op } = require('../base/ops.js');
const { tellLogger } = require('../options/logging.js');
const { Listeners } = require('./listeners.js');
const { opened } = require('./opening.js');
const { countersOf, countersOfNone, healthOf, healthSince, statsOf } = require('./report.js');

/** @typedef {import('./opening').State} State */

class Lifecycle {
  /**
   * @param {() => import('../config').Config} configure
   * @param {boolean} tolerant a configuration that does not parse causes a warning and memory mode; else it throws
   */
  constructor(configure, tolerant) {
    this.configure = configure;
    this.tolerant = tolerant;
    /** @type {State | null} */
    this.state = null;
    /** @type {Promise<void> | null} */
    this.closing = null;
    this.closedAt = 0;
    /** @type {string | null} as JSON, as they were when it was closed */
    this.lastCounters = null;
    this.listeners = new Listeners();
    /** @type {LateVariables | null} of the default cache, until it has warned of one */
    this.late = null;
  }

  /** Opens the cache: connecting begins, in the background. */
  open() {
    if (this.tolerant) this.late = new LateVariables();
    const { state, tell } = opened(this.configure, this.tolerant, this.listeners);
    this.state = state;
    tell();
    return state;
  }

  /** @returns {State} */
  use() {
    if (this.closing !== null) throw closed();
    if (this.late?.due() === true) this.lookForLate(this.late);
    return this.state ?? this.open();
  }

  /** Its namespace, for those who are told of it; empty for none, and until it is open. */
  get namespace() {
    return this.state?.channel.namespace ?? '';
  }

  /**
   * Warns, once, of variables that came too late: they change nothing, which would otherwise go unnoticed.
   * @param {LateVariables} late
   */
  lookForLate(late) {
    const names = late.look();
    if (names.length === 0 || this.state === null) return;
    this.late = null;
    const { handle, logger } = this.state;
    const message = `${names.join(', ')} came after the default cache had read the environment, which it does in the turn of its first require or at its first call, and changes nothing: load the environment (dotenv) before`;
    if (names.includes('REDIS_URL') && handle.target === 'memory')
      this.state.problem ??= { kind: 'config', message, at: dateNow() };
    tellLogger(logger, 'warn', `holdfast: ${message}`);
  }

  /**
   * Resolves with the mode once the first attempt to connect has ended, well or not.
   * @returns {Promise<'redis' | 'memory'>}
   */
  async ready() {
    const { handle, channel, lazy } = this.use();
    // A lazy one is dialled by its first call.
    const decided = () => (lazy ? channel.call(Op.EXISTS, 'ready', '', 0, 0) : this.listeners.decision());
    if (handle.mode === 'initializing') await decided();
    if (this.closing !== null) throw closed();
    return handle.mode;
  }

  /** @returns {Promise<import('../../../index').Stats>} */
  async getStats() {
    return statsOf(this.use());
  }

  /** @returns {import('../../../index').Counters} */
  getCounters() {
    if (this.lastCounters !== null) return parse(this.lastCounters);
    const state = this.closing === null ? this.use() : this.state;
    return state === null ? countersOfNone() : countersOf(state);
  }

  /** @returns {import('../../../index').Mode} */
  getMode() {
    return this.closing === null ? this.use().handle.mode : 'memory';
  }

  /** @returns {import('../../../index').Health} */
  health() {
    return this.closing === null ? healthOf(this.use()) : healthSince(this.closedAt);
  }

  /** @returns {Promise<void>} */
  close() {
    this.closing ??= this.end();
    return this.closing;
  }

  async end() {
    this.closedAt = dateNow();
    this.listeners.decided();
    const { state } = this;
    if (state === null) return;
    state.exclusive.close();
    // Calls under way settle first, also those that wait for a function.
    await state.channel.drained();
    await state.computer.drained();
    await state.channel.drained();
    state.channel.closed = closed();
    state.unlisten();
    this.listeners.attach(null);
    this.lastCounters = stringify(countersOf(state));
    state.handle.close();
    state.channel.line?.turn();
  }
}

module.exports = { Lifecycle };
