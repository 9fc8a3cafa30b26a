// What the doctor found: a list of findings, each with an id that does not change, and the exit code that they make.
'use strict';

/** From the best to the worst. */
const LEVELS = /** @type {const} */ (['ok', 'note', 'warning', 'problem']);
/** Exit codes by the worst level that was found. */
const CODES = { ok: 0, note: 0, warning: 1, problem: 2 };

/** @typedef {typeof LEVELS[number]} Level */
/** @typedef {Record<string, string | number | boolean | null | string[]>} Data */
/**
 * `measured`: what was seen. `why`: what follows for the application; null where all is well. `mend`: lines to paste.
 * `data`: the figures of `measured`, for programs.
 * @typedef {{ id: string, level: Level, step: string, measured: string, why: string | null, mend: string[],
 *   data: Data }} Finding
 */
/** @typedef {{ measured: string, why: string, mend?: string[], data?: Data }} Said */
/**
 * @typedef {{ name: string, budgetMs: number, tookMs: number, outcome: 'done' | 'stopped' | 'late' | 'skipped' }} Step
 */

class Report {
  constructor() {
    /** @type {Finding[]} */
    this.findings = [];
    /** @type {Step[]} */
    this.steps = [];
    /** The step that is under way. */
    this.step = '';
  }

  /**
   * @param {string} id
   * @param {string} measured
   * @param {Data} [data]
   */
  ok(id, measured, data = {}) {
    this.findings.push({ id, level: 'ok', step: this.step, measured, why: null, mend: [], data });
  }

  /**
   * @param {Level} level
   * @param {string} id
   * @param {Said} said
   */
  add(level, id, { measured, why, mend = [], data = {} }) {
    this.findings.push({ id, level, step: this.step, measured, why, mend, data });
  }

  /** @param {Level} level */
  count(level) {
    return this.findings.filter((finding) => finding.level === level).length;
  }

  /** The worst level. */
  worst() {
    return LEVELS.findLast((level) => this.count(level) > 0) ?? 'ok';
  }

  exitCode() {
    return CODES[this.worst()];
  }
}

/**
 * Milliseconds as people read them.
 * @param {number} ms
 */
function millis(ms) {
  return ms < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`;
}

/** @param {number} bytes */
function size(bytes) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`;
}

module.exports = { Report, millis, size };
