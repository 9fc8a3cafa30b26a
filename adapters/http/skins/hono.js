// The response cache as middleware of Hono 4.
'use strict';

const { CONDITIONS, OF_THE_BODY } = require('../conditions.js');
const { HttpCache } = require('../core.js');
const { invalid } = require('../options.js');
const { changed, take } = require('./node.js');
const { replay, replayed, withoutConditions } = require('./replay.js');

/** @param {Record<string, any>} options with the application, through which a response is made anew */
function hono({ app, ...options } = {}) {
  if (typeof app?.fetch !== 'function')
    throw invalid('app must be the Hono application that has the whole of the routes');
  const http = new HttpCache(options);
  return (c, next) => {
    if (!take(c.req.raw)) return next();
    const before = fieldsOf(c.res.headers);
    const capture = replayed();
    if (capture !== undefined) return next().then(() => listen(c, capture, before));
    return new Promise((resolve, reject) => {
      const exchange = exchangeOf(app, c, next, before, (answer) => answer.then(resolve, reject));
      http.handle(exchange).catch(reject);
    });
  };
}

function exchangeOf(app, c, next, before, settle) {
  const { raw } = c.req;
  const { origin, pathname, search } = new URL(raw.url);
  const beforeEnd = [];
  return {
    method: raw.method,
    origin,
    path: pathname + search,
    request: c,
    header: (name) => raw.headers.get(name) ?? undefined,
    pass(notes) {
      const answer = async () => {
        await next();
        for (const fn of beforeEnd) await fn(c.res.status, fieldsOf(c.res.headers));
        replace(c, new Response(c.res.body, c.res), notes);
      };
      settle(answer());
    },
    lead(capture, notes, isKnown) {
      for (const name of CONDITIONS) raw.headers.delete(name);
      const answer = async () => {
        await next();
        listen(c, capture, before);
        const { status, headers, body } = c.res;
        if (!isKnown(status, fieldsOf(headers))) return replace(c, new Response(body, c.res), notes);
        await body?.cancel();
        const known = new Headers(headers);
        for (const name of OF_THE_BODY) known.delete(name);
        replace(c, new Response(null, { status: 304, headers: known }), notes);
      };
      const broken = (error) => {
        capture.lose();
        throw error;
      };
      settle(answer().catch(broken));
    },
    serve(status, fields, body) {
      const headers = new Headers(c.res.headers);
      for (const [name, value] of Object.entries(fields)) {
        if (body !== null || !OF_THE_BODY.includes(name)) headers.set(name, value);
      }
      const bare = body === null || status === 204 || raw.method === 'HEAD';
      if (body !== null && status !== 204) headers.set('content-length', String(body.length));
      replace(c, new Response(bare ? null : body, { status, headers }), {});
      settle(Promise.resolve());
    },
    replay: (capture) => replay(capture, () => dispatch(app, c, capture)),
    beforeEnd: (fn) => beforeEnd.push(fn),
  };
}

/** Hono puts the fields of a response that is replaced into the new one, where the new one does not have them. */
function replace(c, response, notes) {
  for (const [name, value] of Object.entries(notes)) response.headers.set(name, value);
  c.res = undefined;
  c.res = response;
}

/** @param {Headers} headers */
function fieldsOf(headers) {
  const cookies = headers.getSetCookie();
  return { ...Object.fromEntries(headers), ...(cookies.length > 0 && { 'set-cookie': cookies }) };
}

/** Of the response of a handler that has written to Node's own: what it answered is not in it. */
const SENT = 'x-hono-already-sent';

/** Listens to the answer of the handler, and leaves one of the same content in its place. */
function listen(c, capture, before) {
  const { status, headers, body } = c.res;
  if (headers.has(SENT)) return capture.head(0, {});
  const fields = fieldsOf(headers);
  capture.head(status, fields, changed(fields, before));
  if (capture.over) return;
  if (body === null) return capture.end();
  const [copy, rest] = body.tee();
  c.res = new Response(rest, c.res);
  drain(copy, capture);
}

/**
 * Reads to the end, also where the client of the other half has gone.
 * @param {ReadableStream} body
 * @param {import('../capture').Capture} capture
 */
async function drain(body, capture) {
  try {
    for await (const chunk of body) {
      capture.chunk(chunk);
      if (capture.over) return;
    }
    capture.end();
  } catch {
    capture.lose();
  }
}

/**
 * Sends the request of a client through the whole application again, with a response that nobody reads.
 * @param {any} app
 * @param {any} c
 * @param {import('../capture').Capture} capture
 */
async function dispatch(app, c, capture) {
  const headers = withoutConditions(Object.fromEntries(c.req.raw.headers));
  const response = await app.fetch(new Request(c.req.raw.url, { headers }), c.env);
  if (capture.begun) await capture.result.catch(() => {});
  await response.body?.cancel();
}

module.exports = { hono };
