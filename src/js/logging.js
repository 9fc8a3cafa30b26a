// Loggers: the caller's own, or one of those that HOLDFAST_LOG names.
'use strict';

const { variable } = require('./environment');
const { misconfigured } = require('./errors');

const { nextTick } = process;

/** @typedef {import('../../index').Logger} Logger */

/** @type {Logger & { warningsOnly: true }} */
const warnings = {
  warningsOnly: true,
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
 * @param {boolean} [tolerant] process warnings where it names none
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
  // Loggers are mostly instances of a class: their functions may be inherited.
  for (const level of ['info', 'warn', 'error']) {
    if (typeof logger[level] !== 'function') throw misconfigured('logger must have the functions info, warn and error');
  }
  return logger;
}

/**
 * Warns. What the logger throws is its own uncaught exception, and keeps nothing from going on.
 * @param {Logger | null} logger
 * @param {string} message
 */
function warn(logger, message) {
  try {
    logger?.warn(message);
  } catch (error) {
    nextTick(() => {
      throw error;
    });
  }
}

module.exports = { loggerOfEnvironment, loggerOption, warn };
