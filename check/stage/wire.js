// Owns a plain connection to the server, of a client that knows nothing of Holdfast: it writes what foreigners
// write, and reads what Redis really holds.
'use strict';

const net = require('node:net');

class Wire {
  #socket;
  #waiting = [];
  #unread = Buffer.alloc(0);

  /** @param {string} path of the server's unix socket */
  static open(path) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(path).once('error', reject);
      socket.once('connect', () => resolve(new Wire(socket)));
    });
  }

  constructor(socket) {
    this.closed = false;
    this.#socket = socket;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', () => {});
    socket.once('close', () => {
      this.closed = true;
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the server closed the connection'));
    });
  }

  /** Resolves to the reply: texts in latin1, so that bytes stay what they are. */
  command(...args) {
    const parts = args.map((arg) => Buffer.from(String(arg)));
    const frame = [Buffer.from(`*${parts.length}\r\n`)];
    for (const part of parts) frame.push(Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n'));
    return new Promise((resolve, reject) => {
      if (this.closed) reject(new Error('the server closed the connection'));
      this.#waiting.push({ resolve, reject });
      this.#socket.write(Buffer.concat(frame));
    });
  }

  /** What was asked and not answered is rejected. */
  close() {
    this.#socket.destroy();
  }

  #read(chunk) {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    for (;;) {
      const parsed = parse(this.#unread, 0);
      if (parsed === null) return;
      this.#unread = this.#unread.subarray(parsed.next);
      const { resolve, reject } = this.#waiting.shift();
      if (parsed.value instanceof Error) reject(parsed.value);
      else resolve(parsed.value);
    }
  }
}

/** The reply that begins at `at`, or null where a part of it is still to come. */
function parse(bytes, at) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return null;
  const line = bytes.latin1Slice(at + 1, end);
  const size = Number(line);
  let next = end + 2;
  switch (String.fromCharCode(bytes[at])) {
    case '+':
      return { value: line, next };
    case '-':
      return { value: new Error(line), next };
    case ':':
      return { value: size, next };
    case '$':
      if (size < 0) return { value: null, next };
      if (bytes.length < next + size + 2) return null;
      return { value: bytes.latin1Slice(next, next + size), next: next + size + 2 };
    case '*': {
      const value = [];
      for (let i = 0; i < size; i++) {
        const part = parse(bytes, next);
        if (part === null) return null;
        value.push(part.value);
        next = part.next;
      }
      return { value, next };
    }
    default:
      throw new Error('not a reply of Redis');
  }
}

module.exports = { Wire };
