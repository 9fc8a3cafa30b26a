// What the skins of frameworks over Node's own requests and responses share: how an answer is listened to.
//
// An exchange, as core.js uses it, has: `method`, `origin`, `path`, `request` (the framework's own, for `key` and
// `tags`), `header(name)`; `pass(notes)` lets the handler answer; `lead(capture, notes, isKnown)` does too, while
// `capture` listens, and `isKnown(status, headers)` says whether a 304 will do; `serve(status, headers, body)` answers;
// `replay(capture)` runs the handler for nobody; `beforeEnd(fn)` has the answer wait for `fn(status, headers)`.
'use strict';

const { CONDITIONS, OF_THE_BODY } = require('../conditions.js');
const { replay, throughNode } = require('./replay.js');

/** Requests whose response another response cache looks after already. */
const taken = new WeakSet();
/**
 * Whether this request is to be looked after. Where the same request meets two caches, the first one does.
 * @param {object} request
 */
function take(request) {
  if (taken.has(request)) return false;
  taken.add(request);
  return true;
}

/**
 * The head that `writeHead` is given becomes the response's own, so that there is one place to look.
 * @param {import('node:http').ServerResponse} res
 * @param {any[]} rest what it is given behind the status: a reason, and an object, pairs, or names and values by turns
 * @returns {string[]} the reason
 */
function setHead(res, rest) {
  const reason = rest.filter((each) => typeof each === 'string');
  const given = rest.at(-1);
  if (given === undefined || given === null || typeof given === 'string') return reason;
  const pairs = !Array.isArray(given) ? Object.entries(given) : Array.isArray(given[0]) ? given : inPairs(given);
  const seen = new Set();
  for (const [name, value] of pairs) {
    if (value === undefined) continue;
    if (seen.has(name.toLowerCase())) res.appendHeader(name, value);
    else res.setHeader(name, value);
    seen.add(name.toLowerCase());
  }
  return reason;
}

const inPairs = (list) => list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1]]] : []));

/** The fields that differ from those that were there before: what stood in front adds its own to each answer. */
function changed(headers, before) {
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => String(before[name]) !== String(value)));
}

/**
 * Listens to what a handler writes. The client gets the same, or a 304.
 * @param {import('node:http').ServerResponse} res
 * @param {import('../capture').Capture} capture
 * @param {Record<string, any>} before the fields that were set in front of the cache
 * @param {(status: number, headers: Record<string, any>) => boolean} [isKnown]
 */
function listen(res, capture, before, isKnown = () => false) {
  const { write, end, writeHead } = res;

  res.writeHead = (status, ...rest) => {
    const reason = setHead(res, rest);
    if (status < 200) return writeHead.call(res, status, ...reason);
    const headers = { ...res.getHeaders() };
    capture.head(status, headers, changed(headers, before));
    if (!isKnown(status, headers)) return writeHead.call(res, status, ...reason);
    // Node drops the body that follows a 304.
    for (const name of OF_THE_BODY) res.removeHeader(name);
    return writeHead.call(res, 304);
  };

  // A client that has gone before the first byte: whoever waits gets what the handler still makes. Node would refuse
  // its writes, and a stream would wait for a drain that never comes.
  const isDeaf = (args) => {
    if (!res.destroyed || capture.over) return false;
    if (!res.headersSent) res.writeHead(res.statusCode);
    const callback = args.at(-1);
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  };

  const keep = ([chunk, encoding]) => {
    if (capture.over || chunk === undefined || chunk === null || typeof chunk === 'function') return;
    capture.chunk(typeof chunk === 'string' ? Buffer.from(chunk, encodingOf(encoding)) : chunk);
  };

  res.write = (...args) => {
    // First the response, as it writes its head where that is still to come.
    const goesOn = isDeaf(args) || write.apply(res, args);
    keep(args);
    return goesOn;
  };

  res.end = (...args) => {
    if (!isDeaf(args)) end.apply(res, args);
    keep(args);
    capture.end();
    return res;
  };

  res.once('close', () => {
    // A handler that has not begun mostly goes on, and what it makes is of use; a stream has been cut off.
    if (capture.begun) capture.lose();
  });
}

/** What stands behind a chunk may be a callback. */
const encodingOf = (given) => (typeof given === 'string' ? given : 'utf8');

/**
 * Has a response wait at its end, so that who has seen it sees no older one of the same URL.
 * @param {import('node:http').ServerResponse} res
 * @param {(status: number, headers: Record<string, any>) => Promise<void>} fn
 */
function beforeEnd(res, fn) {
  const { end, writeHead } = res;
  let ending = false;
  res.writeHead = (status, ...rest) => writeHead.call(res, status, ...setHead(res, rest));
  res.end = (...args) => {
    if (!ending) fn(res.statusCode, res.getHeaders()).then(() => end.apply(res, args));
    ending = true;
    return res;
  };
}

/** The parts of an exchange that are the same wherever Node's request and response are beneath. */
function nodeParts(req, res, before, route) {
  return {
    header: (name) => req.headers[name],
    /** Listens, and hides from the handler what would have it answer with a 304. */
    attend(capture, isKnown) {
      for (const name of CONDITIONS) delete req.headers[name];
      listen(res, capture, before, isKnown);
    },
    replay: (capture) => replay(capture, () => throughNode(req, capture, route)),
    beforeEnd: (fn) => beforeEnd(res, fn),
  };
}

module.exports = { changed, listen, nodeParts, take };
