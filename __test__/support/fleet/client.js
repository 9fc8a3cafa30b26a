// A connection that shows what a server says: each reply, each push, each error as it is, and that it hung up.
//
// No client library would do: they follow redirects, choose servers and dial again, which is what the tests are about.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');

/** How long `ask` waits for a server that may have been stopped. */
const ASK_MS = 5_000;

/** What a server answered instead of a reply; the message is its text, as `MOVED 1 127.0.0.1:7000`. */
class ReplyError extends Error {
  name = 'ReplyError';
}

class Client {
  #socket;
  #unread = Buffer.alloc(0);
  /** @type {{ name: string, resolve: (reply: unknown) => void, reject: (error: Error) => void }[]} */
  #waiting = [];

  constructor(socket) {
    /** @type {unknown[][]} What the server said though nobody had asked: `['invalidate', ['key']]`. */
    this.pushes = [];
    this.closed = false;
    this.#socket = socket;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  /** Resolves to the reply, rejects with a ReplyError; asked again and again without waiting, it is a pipeline. */
  ask(...args) {
    const reply = new Promise((resolve, reject) => {
      if (this.closed) reject(new Error('the connection is closed'));
      this.#waiting.push({ name: String(args[0]).toLowerCase(), resolve, reject });
    });
    // A test may have no use for it.
    reply.catch(() => {});
    if (!this.closed) this.#socket.write(frame(args));
    return reply;
  }

  close(error = new Error('the test closed the connection')) {
    this.#end(error);
    this.#socket.destroy();
  }

  #end(error) {
    this.closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #read(bytes) {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const isPush = this.#unread[0] === '>'.charCodeAt(0);
      const parsed = parse(this.#unread, 0);
      if (parsed === null) return;
      this.#unread = this.#unread.subarray(parsed.next);
      if (!isPush) this.#settle(parsed.value);
      else if (parsed.value[0] === this.#waiting[0]?.name) this.#settle(parsed.value);
      else this.pushes.push(parsed.value);
    }
  }

  /** SUBSCRIBE is answered by a push of its own name, all else by what is none. */
  #settle(value) {
    const { resolve, reject } = this.#waiting.shift();
    if (value instanceof ReplyError) reject(value);
    else resolve(value);
  }
}

function frame(args) {
  const parts = args.map((arg) => (Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg))));
  const head = Buffer.from(`*${parts.length}\r\n`);
  const bulk = (part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')];
  return Buffer.concat([head, ...parts.flatMap(bulk)]);
}

/**
 * What begins at `at`, RESP2 or RESP3, or null where a part of it is still to come. Texts are UTF-8, maps are objects.
 *
 * @returns {{ value: any, next: number } | null}
 */
function parse(bytes, at) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return null;
  const line = bytes.toString('utf8', at + 1, end);
  const next = end + 2;
  const kind = String.fromCharCode(bytes[at]);
  switch (kind) {
    case '+':
      return { value: line, next };
    case '-':
      return { value: new ReplyError(line), next };
    case ':':
    case ',':
      return { value: Number(line), next };
    case '#':
      return { value: line === 't', next };
    case '_':
      return { value: null, next };
    case '$':
    case '=': {
      if (line === '-1') return { value: null, next };
      const last = next + Number(line);
      if (bytes.length < last + 2) return null;
      // A verbatim text begins with its format: `txt:`.
      return { value: bytes.toString('utf8', kind === '=' ? next + 4 : next, last), next: last + 2 };
    }
    case '*':
    case '~':
    case '>':
      return line === '-1' ? { value: null, next } : parseAll(bytes, next, Number(line));
    case '%': {
      const parts = parseAll(bytes, next, 2 * Number(line));
      if (parts === null) return null;
      const pairs = parts.value.flatMap((name, n, all) => (n % 2 === 0 ? [[name, all[n + 1]]] : []));
      return { value: Object.fromEntries(pairs), next: parts.next };
    }
    default:
      throw new Error(`not a reply of Redis: ${kind}${line}`);
  }
}

function parseAll(bytes, at, count) {
  const value = [];
  let next = at;
  while (value.length < count) {
    const part = parse(bytes, next);
    if (part === null) return null;
    value.push(part.value);
    next = part.next;
  }
  return { value, next };
}

function dial(server) {
  const address = { host: server.host, port: server.port };
  const ca = server.tls && fs.readFileSync(server.tls.ca ?? server.tls.cert);
  return new Client((server.tls ? tls.connect({ ...address, ca }) : net.connect(address)).setNoDelay());
}

function greet(client, protocol, password) {
  return client.ask('HELLO', protocol, ...(password === null ? [] : ['AUTH', 'default', password]));
}

/**
 * A connection to a server of `startRedis`, past its greeting: `client.greeting` is what HELLO gave. `password: null`
 * greets without one.
 *
 * @param {{ protocol?: 2 | 3, password?: string | null }} options
 */
async function connect(server, { protocol = 3, password = server.password } = {}) {
  const client = dial(server);
  try {
    client.greeting = await greet(client, protocol, password);
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * One command on a connection of its own. Rejects with the server's error, and after ASK_MS where there is no answer,
 * as of a server that is stopped.
 */
async function ask(server, ...args) {
  const client = dial(server);
  const late = new Error(`no answer within ${ASK_MS} ms: ${args.join(' ')}`);
  const timer = setTimeout(() => client.close(late), ASK_MS);
  try {
    await greet(client, 3, server.password);
    return await client.ask(...args);
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

module.exports = { connect, ask, ReplyError };
