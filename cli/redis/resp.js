// Replies of a Redis server as values: RESP2 and RESP3, from bytes that come in any pieces.
//
// Bulk strings are Buffers, as a key or a value may be any bytes; simple strings are texts, maps are `Map`s, and an
// error is a ReplyError among the values. What no server of ours says (a text of a gigabyte, arrays in arrays in
// arrays) is a ProtocolError: the port may be anybody's.
'use strict';

/** What a server says instead of a reply. */
class ReplyError extends Error {
  /** @param {string} text as it came: `NOPERM this user …` */
  constructor(text) {
    super(text);
    /** The first word, where it is a code. */
    this.code = /^[A-Z][A-Z_]*(?= |$)/.exec(text)?.[0] ?? '';
    this.details = text.slice(this.code.length).trimStart();
  }
}

/** The bytes are no reply of a Redis server. */
class ProtocolError extends Error {}

/** @typedef {string | number | bigint | boolean | null | Buffer | ReplyError | any[] | Map<any, any>} Reply */

const CRLF = Buffer.from('\r\n');
/** Bytes of a line that begins a reply. Errors may quote what they refuse. */
const MOST_LINE = 64 * 1024;
/** Bytes of one text. Redis itself allows 512 MB; nothing that is asked for here is as long. */
const MOST_BULK = 64 * 1024 * 1024;
const MOST_ITEMS = 1_000_000;
const DEEPEST = 16;

class Reader {
  /** @type {Buffer} */
  #unread = Buffer.alloc(0);

  /**
   * The replies that end within these bytes and those of before.
   * @param {Buffer} bytes
   * @returns {{ push: boolean, value: Reply }[]}
   */
  read(bytes) {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    const replies = [];
    for (;;) {
      const push = this.#unread[0] === 0x3e;
      const parsed = parse(this.#unread, 0, 0);
      if (parsed === null) return replies;
      this.#unread = this.#unread.subarray(parsed.next);
      replies.push({ push, value: parsed.value });
    }
  }
}

/**
 * The reply that begins at `at`, or null where a part of it is still to come.
 * @param {Buffer} bytes
 * @param {number} at
 * @param {number} depth
 * @returns {{ value: Reply, next: number } | null}
 */
function parse(bytes, at, depth) {
  if (at >= bytes.length) return null;
  const kind = String.fromCharCode(bytes[at]);
  if (!'+-:,#_$=!*~>%('.includes(kind) || depth > DEEPEST) throw new ProtocolError('no reply of Redis');
  const end = bytes.indexOf(CRLF, at);
  if (end < 0) {
    if (bytes.length - at > MOST_LINE) throw new ProtocolError('a line without an end');
    return null;
  }
  const line = bytes.toString('utf8', at + 1, end);
  const next = end + 2;
  switch (kind) {
    case '+':
      return { value: line, next };
    case '-':
      return { value: new ReplyError(line), next };
    case ':':
    case ',':
      return { value: Number(line), next };
    case '(':
      return { value: /^-?\d+$/.test(line) ? BigInt(line) : null, next };
    case '#':
      return { value: line === 't', next };
    case '_':
      return { value: null, next };
    case '$':
    case '=':
    case '!':
      return bulk(kind, bytes, next, count(line, MOST_BULK));
    case '%': {
      const all = items(bytes, next, count(line, MOST_ITEMS) * 2, depth);
      if (all === null) return null;
      /** @type {Map<Reply, Reply>} */
      const map = new Map();
      for (let n = 0; n < all.value.length; n += 2) map.set(text(all.value[n]) ?? all.value[n], all.value[n + 1]);
      return { value: map, next: all.next };
    }
    default:
      return line === '-1' ? { value: null, next } : items(bytes, next, count(line, MOST_ITEMS), depth);
  }
}

/**
 * @param {string} kind
 * @param {Buffer} bytes
 * @param {number} from
 * @param {number} length
 */
function bulk(kind, bytes, from, length) {
  if (length < 0) return { value: null, next: from };
  const to = from + length;
  if (bytes.length < to + 2) return null;
  if (kind === '!') return { value: new ReplyError(bytes.toString('utf8', from, to)), next: to + 2 };
  // A verbatim text begins with its format: `txt:`.
  return { value: bytes.subarray(kind === '=' ? from + 4 : from, to), next: to + 2 };
}

/**
 * @param {Buffer} bytes
 * @param {number} from
 * @param {number} length
 * @param {number} depth
 */
function items(bytes, from, length, depth) {
  /** @type {Reply[]} */
  const value = [];
  let next = from;
  while (value.length < length) {
    const item = parse(bytes, next, depth + 1);
    if (item === null) return null;
    value.push(item.value);
    next = item.next;
  }
  return { value, next };
}

/**
 * @param {string} line
 * @param {number} most
 */
function count(line, most) {
  const number = Number(line);
  if (!/^-?\d+$/.test(line) || number > most) throw new ProtocolError('a length that no reply has');
  return number;
}

/**
 * The bytes of a command.
 * @param {(string | number | Buffer)[]} args
 */
function frame(args) {
  const parts = args.map((arg) => (Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg))));
  const chunks = parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, CRLF]);
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...chunks]);
}

/**
 * A reply that is text, whichever way it came.
 * @param {Reply | undefined} reply
 * @returns {string | undefined}
 */
function text(reply) {
  if (typeof reply === 'string') return reply;
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : undefined;
}

module.exports = { ProtocolError, Reader, ReplyError, frame, text };
