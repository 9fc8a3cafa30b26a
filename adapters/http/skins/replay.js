// A request for which no client waits: it goes through the whole application once more, for a capture alone.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { IncomingMessage, ServerResponse } = require('node:http');
const { Socket } = require('node:net');
const { Writable } = require('node:stream');
const { finished } = require('node:stream/promises');
const { CONDITIONS } = require('../conditions.js');

/** What such a request brings along: who listens to its answer. No header could say so that no client can write. */
const replays = new AsyncLocalStorage();

/**
 * @param {import('../capture').Capture} capture
 * @param {() => Promise<unknown>} dispatch resolves once the application has answered
 */
function replay(capture, dispatch) {
  // An application that answers before the request comes to its cache has said nothing that could be stored.
  const ended = () => capture.lose();
  replays.run({ capture }, async () => dispatch()).then(ended, ended);
}

/** The capture of the request that is under way, once: what its handler asks of the application is not listened to. */
function replayed() {
  const store = replays.getStore();
  const capture = store?.capture;
  if (store !== undefined) store.capture = undefined;
  return capture;
}

/** @param {Record<string, any>} headers */
function withoutConditions(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CONDITIONS.includes(name)));
}

/**
 * Sends a copy of Node's request through the application, with a response that nobody reads.
 * @param {any} req
 * @param {import('../capture').Capture} capture
 * @param {(req: IncomingMessage, res: ServerResponse) => void} route
 */
function throughNode(req, capture, route) {
  const request = copyOf(req);
  const response = new ServerResponse(request);
  response.assignSocket(new Writable({ write: (_chunk, _encoding, done) => done() }));
  // One that is not to be stored might never end.
  const stop = () => response.destroy();
  capture.result.then((answer) => answer.plan === undefined && stop(), stop);
  route(request, response);
  return finished(response);
}

/** A request without a connection: what is done to its socket does nothing to the client's. */
function copyOf(req) {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: req.socket.remoteAddress });
  Object.defineProperty(socket, 'encrypted', { value: req.socket.encrypted });
  const copy = new IncomingMessage(socket);
  copy.method = 'GET';
  copy.url = req.originalUrl ?? req.url;
  copy.httpVersion = '1.1';
  copy.httpVersionMajor = copy.httpVersionMinor = 1;
  copy.headers = withoutConditions(req.headers);
  copy.rawHeaders = Object.entries(copy.headers).flatMap(([name, value]) => [name, String(value)]);
  copy.complete = true;
  copy.push(null);
  return copy;
}

module.exports = { replay, replayed, throughNode, withoutConditions };
