// Loggers: the caller's own, or the one that HOLDFAST_LOG names.
'use strict';

const { variable } = require('../base/environment.js');
const { misconfigured } = require('../base/errors.js');
const { nextTick, surface } = require('../base/host.js');

/** @typedef {import('../../../index').Logger} Logger */

/** @type {Logger} */
const warnings = {
  info: (message) => process.emitWarning(message, 'HoldfastWarning'),
  warn: (message) => process.emitWarning(message, 'HoldfastWarning'),
  error: (message) => process.emitWarning(message, 'HoldfastWarning'),
};
/** @type {Logger} */
const toConsole = {
  info: (message) => console.info(message),
  warn: (message) => console.warn(message),
  error: (message) => console.error(message),
};

/**
 * The logger that HOLDFAST_LOG names.
 * @param {boolean} [tolerant] an unknown name means process warnings; else it throws
 * @returns {Logger | null}
 */
function loggerOfEnvironment(tolerant = false) {
  switch (variable('HOLDFAST_LOG')) {
    case undefined:
    case '':
    case 'warn':
      return warnings;
    case 'console':
      return toConsole;
    case 'silent':
      return null;
    default:
      if (tolerant) return warnings;
      throw misconfigured('HOLDFAST_LOG must be warn, console or silent');
  }
}

/**
 * @param {any} logger the option of createCache
 * @returns {Logger | null}
 */
function loggerOption(logger) {
  if (logger === undefined) return loggerOfEnvironment();
  if (logger === null) return null;
  // Most loggers are instances of a class: their functions may be inherited.
  try {
    if (['info', 'warn', 'error'].every((level) => typeof logger[level] === 'function')) return logger;
  } catch (cause) {
    throw misconfigured('the functions of logger could not be read: a getter threw', cause);
  }
  throw misconfigured('logger must have the functions info, warn and error');
}

/**
 * Calls a logger in a tick of its own. What it throws becomes a process warning: a stream that was closed is no reason
 * to end the process.
 * @param {Logger | null} logger
 * @param {'info' | 'warn' | 'error'} level
 * @param {string} message
 */
function tellLogger(logger, level, message) {
  if (logger === null) return;
  nextTick(async () => {
    try {
      // The logger may return a promise.
      await logger[level](message);
    } catch (error) {
      complain(error);
    }
  });
}

/** @param {unknown} error that a logger threw */
function complain(error) {
  try {
    process.emitWarning('the logger of a holdfast cache threw; what it was told is lost', {
      type: 'HoldfastWarning',
      detail: String(error instanceof Error ? error.stack : error),
    });
  } catch (failure) {
    surface(failure);
  }
}

module.exports = { loggerOfEnvironment, loggerOption, tellLogger, warnings };
