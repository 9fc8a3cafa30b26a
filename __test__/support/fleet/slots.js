// Slots of a cluster: which one a key is in, and how one moves from a primary to another, in steps that tests can stop
// between.
'use strict';

const { ask } = require('./client');

const SLOTS = 16_384;
/** Keys that one MIGRATE takes along. */
const MIGRATE_KEYS = 100;
const MIGRATE_TIMEOUT_MS = 5_000;

/** CRC16 as XMODEM has it. */
function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc;
}

/** The slot of a key: of what stands between its first `{` and the next `}`, where that is anything, else of all. */
function slotOf(key) {
  const bytes = Buffer.from(key);
  const open = bytes.indexOf('{');
  const close = open < 0 ? -1 : bytes.indexOf('}', open);
  return crc16(close > open + 1 ? bytes.subarray(open + 1, close) : bytes) % SLOTS;
}

/** So many keys of a slot, the same at each call: `{tag}0`, `{tag}1`, … */
function keysIn(slot, count = 1) {
  let tag = 0;
  while (slotOf(`${tag}`) !== slot) tag++;
  return Array.from({ length: count }, (_, n) => `{${tag}}${n}`);
}

/**
 * From now on `from` answers for the keys that it still has, says ASK for those that it has not, and TRYAGAIN or ASK
 * where it has some of a command's keys.
 */
async function beginMove(slot, from, to) {
  await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
  await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
}

/** Takes these keys along, or all that are in the slot. */
async function migrate(slot, from, to, keys = null) {
  const auth = to.password === null ? [] : ['AUTH', to.password];
  for (;;) {
    const batch = keys ?? (await ask(from, 'CLUSTER', 'GETKEYSINSLOT', slot, MIGRATE_KEYS));
    if (batch.length === 0) return;
    await ask(from, 'MIGRATE', to.host, to.port, '', 0, MIGRATE_TIMEOUT_MS, 'REPLACE', ...auth, 'KEYS', ...batch);
    if (keys !== null) return;
  }
}

/**
 * Gives the slot to `to`, which must be importing it, and tells all `primaries`. A source that has keys of the slot yet
 * refuses to be told: it hears of it on the bus, and deletes them.
 */
async function endMove(slot, from, to, primaries) {
  for (const node of new Set([to, from, ...primaries])) {
    await ask(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id).catch((error) => {
      if (node !== from || !/still hold keys/.test(error.message)) throw error;
    });
  }
}

/** Ends a move, or what is left of it, in the eyes of the two: the slot stays with whom the cluster says. */
async function forgetMove(slot, from, to) {
  for (const node of [from, to]) {
    await ask(node, 'CLUSTER', 'SETSLOT', slot, 'STABLE').catch((error) => {
      // A primary without slots has become a replica of who took its last.
      if (!/only with masters/.test(error.message)) throw error;
    });
  }
}

module.exports = { SLOTS, slotOf, keysIn, beginMove, migrate, endMove, forgetMove };
