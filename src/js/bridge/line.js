// The event loop's own line to a server: Node polls the socket, Rust does the rest (src/binding/line.rs).
//
// What a lone call costs is waking a processor that sleeps. A thread between the event loop and the socket doubles
// that; here a call is written by the call into Rust that hands it over, and its reply is read by the event loop.
//
// Timers fire before the event loop looks at its sockets. After a turn that took long, replies lie there that are not
// late: the engine gives a moment that comes too late by more than a tenth of a second a second chance.
//
// A processor that sleeps takes longer to wake than Redis takes to answer. With `spin`, the event loop does not sleep
// for so long behind a batch: it looks at its sockets again and again, and at whatever else has come.
'use strict';

const { clearTimeout, now, setImmediate, setTimeout } = require('../base/host.js');
const native = require('../addon/native.js');

// Bytes that one read takes at most.
const ROOM = 64 * 1024;
// Batches under way up to which spinning helps: with more of them some reply is never far.
const SPINS = 8;
// What Rust says after each step, by its place: see ends.rs.
const OUTPUT = 0;
const CLOSE = 1;
const DIALLED = 2;
const MORE = 3;
const GONE = 4;
const MOMENT = 5;

/**
 * Node's module takes milliseconds to load, for which `require` does not wait. Held from then on: a module registry
 * that has been torn down (Jest) gives nothing any more, and a connection may come up even then.
 * @type {typeof import('node:net') | undefined}
 */
let net;

/**
 * A socket of a descriptor.
 * @param {object} options
 */
function socketOf(options) {
  net ??= require('node:net');
  return new net.Socket(
    /** @type {import('node:net').SocketConstructorOpts} */ ({ readable: true, writable: true, ...options }),
  );
}

/** @type {boolean | undefined} once it was tried */
let isAble;

/**
 * Whether the runtime reads a socket that it did not make itself, given its descriptor: tried on one whose other end is
 * closed. Bun takes the descriptor and leaves it alone; its socket is `pending` for ever.
 */
function tryAdoption() {
  const { closeSync } = require('node:fs');
  const fd = native.Line.specimen();
  if (typeof fd !== 'number') return false;
  try {
    const socket = socketOf({ fd });
    const { pending } = socket;
    socket.on('error', () => {});
    socket.destroy();
    if (pending === false) return true;
  } catch {
    // It does not take the descriptor.
  }
  closeSync(fd);
  return false;
}

class Line {
  /** Whether this runtime can have one; without it, the engine's thread reads and writes the socket. */
  static isPossible() {
    isAble ??= tryAdoption();
    return isAble;
  }

  /**
   * @param {import('./bridge').Bridge} bridge
   * @param {any} handle the native cache of whose engine it is
   */
  constructor(bridge, handle) {
    this.bridge = bridge;
    this.said = new Int32Array(new SharedArrayBuffer(native.Line.fields() * Int32Array.BYTES_PER_ELEMENT));
    const self = new WeakRef(this);
    this.native = new native.Line(bridge.native, handle, this.said, () => self.deref()?.step());
    /** @type {import('node:net').Socket | null} */
    this.socket = null;
    this.room = Buffer.allocUnsafeSlow(ROOM);
    /** @type {NodeJS.Timeout | null} */
    this.timer = null;
    this.due = Infinity;
    this.gone = false;
    /** Milliseconds for which the event loop stays awake behind a batch. */
    this.spin = 0;
    this.awake = false;
    this.sleeps = 0;
    this.stay = this.stay.bind(this);
    this.step = this.step.bind(this);
    this.tick = this.tick.bind(this);
    this.read = this.read.bind(this);
    this.step();
  }

  /** @param {any} handle of a further cache of its engine */
  share(handle) {
    this.native.share(handle);
  }

  step() {
    this.native.step();
    this.turn();
  }

  /** Looks at the socket, where the event loop did not for a while: invalidations may lie there. */
  look() {
    this.native.look();
    this.turn();
  }

  /** A batch is on its way. */
  sent() {
    if (this.spin === 0 || this.gone || this.bridge.sent.size > SPINS) return;
    this.sleeps = now() + this.spin;
    if (this.awake) return;
    this.awake = true;
    setImmediate(this.stay);
  }

  stay() {
    this.awake = this.bridge.sent.size > 0 && now() < this.sleeps;
    if (this.awake) setImmediate(this.stay);
  }

  /** Does what the last step said. To be called after each call into Rust that may have made one. */
  turn() {
    if (this.gone) return;
    const { said } = this;
    if (said[CLOSE] === 1) this.close();
    if (said[DIALLED] === 1) this.adopt();
    if (said[OUTPUT] === 1) this.write();
    if (said[MOMENT] !== 0) this.arm();
    if (said[MORE] === 1) {
      said[MORE] = 0;
      setImmediate(this.step);
    }
    if (said[GONE] === 1) this.end();
  }

  adopt() {
    this.said[DIALLED] = 0;
    const fd = this.native.adopt();
    if (typeof fd !== 'number') return;
    const socket = socketOf({ fd, onread: { buffer: this.room, callback: this.read } });
    this.socket = socket;
    // What is under way keeps the process alive by itself.
    socket.unref();
    const lost = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.native.lost();
      this.turn();
    };
    // The close that follows says it.
    socket.on('error', () => {});
    socket.on('end', lost);
    socket.on('close', lost);
    socket.resume();
    this.native.connected();
    this.turn();
  }

  /** @param {number} used bytes that came */
  read(used) {
    const frames = this.native.read(this.room, used);
    try {
      this.turn();
    } finally {
      // Whatever else fails, its callers have these replies.
      if (frames !== null && frames !== undefined) this.bridge.wake(frames);
    }
    return true;
  }

  /** Writes what the socket did not take. */
  write() {
    this.said[OUTPUT] = 0;
    const { socket } = this;
    const output = this.native.output();
    if (socket === null) return;
    socket.write(output, () => {
      if (this.socket !== socket) return;
      this.native.written();
      this.turn();
    });
  }

  close() {
    this.said[CLOSE] = 0;
    const { socket } = this;
    this.socket = null;
    socket?.destroy();
  }

  /** Sets the timer for the moment that was named, where that is earlier. */
  arm() {
    const ms = this.said[MOMENT] - 1;
    this.said[MOMENT] = 0;
    const due = now() + ms;
    if (due >= this.due) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(this.tick, ms);
    this.timer.unref();
  }

  tick() {
    this.due = Infinity;
    this.timer = null;
    this.native.tick();
    this.turn();
  }

  /** The node has ended, or moved to the engine's thread. */
  end() {
    this.said[GONE] = 0;
    this.gone = true;
    this.close();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

module.exports = { Line };
