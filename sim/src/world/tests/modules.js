// Owns what the players of scripts share: a clock of their own, and the modules of src/js over an engine that answers
// by the script.
'use strict';

const Module = require('node:module');
const { join, sep } = require('node:path');
const { createInterface } = require('node:readline');

const SOURCES = join(__dirname, '../../../../src/js');
const { setImmediate } = globalThis;

// The clock of all modules, in milliseconds: they take it when they load.
const time = { clock: 1000 };
process.hrtime = Object.assign(function hrtime() {
  return [Math.floor(time.clock / 1000), (time.clock % 1000) * 1e6];
}, process.hrtime);

// The bounds that a script sets in place of those in the sources.
let bounds = new Map();
const compile = Module.prototype._compile;
Module.prototype._compile = function (content, filename, ...rest) {
  const bound = bounds.get(filename.slice(SOURCES.length + 1).replaceAll(sep, '/'));
  if (bound === undefined) return compile.call(this, content, filename, ...rest);
  const [from, to] = bound;
  if (!content.includes(from)) throw new Error(`${filename} has no «${from}»`);
  return compile.call(this, content.replace(from, to), filename, ...rest);
};

/** A module of src/js, as it is loaded now. */
function moduleOf(name) {
  return require(join(SOURCES, name));
}

/** The modules, loaded anew: they count the answers that were given at once. */
function load({ window, part, counters }, engine) {
  for (const name of Object.keys(require.cache)) if (name.startsWith(SOURCES)) delete require.cache[name];
  bounds = new Map([
    ['bridge/window.js', ['const MAX_CALLS = 16384;', `const MAX_CALLS = ${window};`]],
    ['bridge/lane.js', ['const PART = 256;', `const PART = ${part};`]],
  ]);
  class Bridge {
    static slots = () => counters.all;
    static peeked = () => counters.peeked;
    submit = (_handle, id, text, numbers, used) => engine.submit(id, text, numbers, used);
    run = (_handle, id, task, text) => engine.run(id, task, text);
    peekHot = (_handle, key) => engine.peek(key);
    lastIds = () => [];
    rest() {}
    shape() {}
  }
  const native = join(SOURCES, 'addon/native.js');
  require.cache[native] = Object.assign(new Module(native), { exports: { Bridge }, filename: native, loaded: true });
  const bridge = new (moduleOf('bridge/bridge.js').Bridge)();
  const { Hot } = moduleOf('hot/hot.js');
  const { Channel } = moduleOf('bridge/channel.js');
  const hot = new Hot(
    bridge.versions,
    false,
    counters.clock,
    () => time.clock,
    (bytes) => bytes,
  );
  const channel = new Channel(bridge, { engine: 1, prefix: 'app:' }, hot);
  return { bridge, channel, hot };
}

/** What a peek leaves beside the text that it found: how many versions, milliseconds, the key's slot and version. */
function leave(script, versions, ms, slot, version) {
  versions.set([1, ms, slot, version], script.counters.peeked);
}

/** Resolves behind all promises and ticks that are due, and all that these make. */
function drained() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Plays each script of the input, one a line. */
async function playAll(play) {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await play(JSON.parse(line))));
  }
}

module.exports = { drained, leave, load, moduleOf, playAll, time };
