// The response cache as middleware of Express 4 and 5.
'use strict';

const { OF_THE_BODY } = require('../conditions.js');
const { HttpCache } = require('../core.js');
const { listen, nodeParts, take } = require('./node.js');
const { replayed } = require('./replay.js');

/** @param {Record<string, any>} [options] */
function express(options) {
  const http = new HttpCache(options);
  return function holdfast(req, res, next) {
    if (!take(req)) return next();
    const before = { ...res.getHeaders() };
    const capture = replayed();
    if (capture === undefined) return void http.handle(exchangeOf(req, res, next, before)).catch(next);
    listen(res, capture, before);
    next();
  };
}

function exchangeOf(req, res, next, before) {
  const { attend, ...parts } = nodeParts(req, res, before, (request, response) => rootOf(req.app)(request, response));
  return {
    ...parts,
    method: req.method,
    origin: `${req.protocol}://${req.headers.host}`,
    path: req.originalUrl,
    request: req,
    pass(notes) {
      setAll(res, notes);
      next();
    },
    lead(capture, notes, isKnown) {
      attend(capture, isKnown);
      setAll(res, notes);
      next();
    },
    serve(status, headers, body) {
      res.statusCode = status;
      setAll(res, headers);
      if (body === null) {
        for (const name of OF_THE_BODY) res.removeHeader(name);
        return res.end();
      }
      if (status !== 204) res.setHeader('content-length', body.length);
      res.end(body);
    },
  };
}

function setAll(res, headers) {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
}

/** The application that has all that stands in front of the cache. */
function rootOf(app) {
  return app.parent === undefined ? app : rootOf(app.parent);
}

module.exports = { express };
