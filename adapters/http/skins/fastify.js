// The response cache as a plugin of Fastify 5, for the scope in which it is registered.
'use strict';

const { OF_THE_BODY } = require('../conditions.js');
const { HttpCache } = require('../core.js');
const { invalid } = require('../options.js');
const { listen, nodeParts, take } = require('./node.js');
const { replayed } = require('./replay.js');

/**
 * @param {any} instance
 * @param {Record<string, any>} options
 * @param {(error?: Error) => void} done
 */
function fastify(instance, options, done) {
  const { prefix, logLevel, logSerializers, ...given } = options;
  const usual = new HttpCache(given);
  /** @type {WeakMap<object, HttpCache>} by the options of their route */
  const routes = new WeakMap();
  const cacheFor = (own) => {
    if (own === undefined) return usual;
    if (own === null || typeof own !== 'object') throw invalid('config.holdfast of a route must be false or options');
    const http = routes.get(own) ?? new HttpCache({ ...given, cache: usual.cache, ...own });
    routes.set(own, http);
    return http;
  };
  // A route's options are read when it is made, so that a mistake in them is seen at the start.
  instance.addHook('onRoute', ({ config }) => {
    if (config?.holdfast !== false) cacheFor(config?.holdfast);
  });
  // Behind `onRequest` and `preValidation`: who has no right to the answer is turned away in front of the cache.
  instance.addHook('preHandler', (request, reply, next) => {
    const own = request.routeOptions.config?.holdfast;
    if (own === false || !take(request.raw)) return next();
    const before = { ...reply.getHeaders() };
    const capture = replayed();
    if (capture === undefined) {
      const exchange = exchangeOf(instance, request, reply, next, before);
      return void cacheFor(own).handle(exchange).catch(next);
    }
    listen(reply.raw, capture, before);
    next();
  });
  // One that was made here is closed here.
  if (given.cache === undefined) instance.addHook('onClose', () => usual.cache.close());
  done();
}

// The hooks are those of the scope that registers the plugin, and not of a scope of its own.
fastify[Symbol.for('skip-override')] = true;
fastify[Symbol.for('fastify.display-name')] = 'holdfast';
fastify[Symbol.for('plugin-meta')] = { name: 'holdfast', fastify: '>=5' };

function exchangeOf(instance, request, reply, next, before) {
  const route = (req, res) => instance.routing(req, res);
  const { attend, ...parts } = nodeParts(request.raw, reply.raw, before, route);
  return {
    ...parts,
    method: request.method,
    origin: `${request.protocol}://${request.host}`,
    path: request.originalUrl,
    request,
    pass(notes) {
      reply.headers(notes);
      next();
    },
    lead(capture, notes, isKnown) {
      attend(capture, isKnown);
      reply.headers(notes);
      next();
    },
    serve(status, fields, body) {
      reply.code(status).headers(fields);
      if (body === null) for (const name of OF_THE_BODY) reply.removeHeader(name);
      reply.send(body ?? undefined);
    },
  };
}

module.exports = { fastify };
