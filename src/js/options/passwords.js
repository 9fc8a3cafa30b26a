// The option `password` as a function: called before each dial, for passwords that expire.
//
// Rust asks by an event, and waits for the answer as long as for a server. The function is the application's code. It
// runs in a tick of its own; whatever it throws, gives or never gives, only that one dial fails, and nothing that it
// threw is shown, as it may hold what must stay secret.
'use strict';

const native = require('../addon/native.js');
const { misconfigured } = require('../base/errors.js');
const { nextTick } = require('../base/host.js');

/** @typedef {() => unknown} PasswordFunction */

/** @type {WeakMap<PasswordFunction, number>} by identity: caches with the same function may share a connection */
const numbers = new WeakMap();
/** @type {Map<number, WeakRef<PasswordFunction>>} their caches hold them */
const functions = new Map();
const forgotten = new FinalizationRegistry((/** @type {number} */ number) => functions.delete(number));

/**
 * The option `password`: a text for Rust, or a function, and the number by which Rust asks for it.
 * @param {unknown} given
 * @returns {{ text?: string, number?: number, of?: PasswordFunction }}
 */
function passwordOption(given) {
  if (given === undefined) return {};
  if (typeof given === 'string') return { text: given };
  if (typeof given !== 'function') throw misconfigured('password must be a string, or a function that gives one');
  const of = /** @type {PasswordFunction} */ (given);
  return { number: numberOf(of), of };
}

/** @param {PasswordFunction} of */
function numberOf(of) {
  const known = numbers.get(of);
  if (known !== undefined) return known;
  const number = native.passwordNumber();
  numbers.set(of, number);
  functions.set(number, new WeakRef(of));
  forgotten.register(of, number);
  return number;
}

/**
 * Rust wants the password of a function, once.
 * @param {{ password: number, question: number }} asked
 */
function askPassword({ password, question }) {
  nextTick(async () => {
    try {
      const of = functions.get(password)?.deref();
      const text = await of?.();
      native.givePassword(question, typeof text === 'string' && text !== '' ? text : null, false);
    } catch {
      native.givePassword(question, null, true);
    }
  });
}

module.exports = { askPassword, passwordOption };
