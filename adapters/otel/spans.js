// The spans: what caches of this thread do, as their channels of node:diagnostics_channel tell it (docs/monitoring.md).
// Nothing is subscribed to before `trace` is called.
//
// The span of a function that a cache runs has to be the active one while it runs, so that what it calls finds its
// parent. Node's channels have that for an AsyncLocalStorage, which is where OpenTelemetry keeps its context; its API
// does not give it out, so it is looked for in the context manager. Rejected: a store of our own whose `run` calls
// `context.with`, as Node 26 does not call `run`.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const { invalid } = require('../shared/telemetry/watched.js');
const { SCOPE } = require('./instruments.js');

/** @typedef {import('../../index').ComputeMessage} ComputeMessage */
/** @typedef {import('../../index').BatchMessage} BatchMessage */
/** @typedef {import('../../index').OperationMessage} OperationMessage */
/** @typedef {{ name: string, kind: number, attributes: Record<string, any> }} About what a span is made of */

/** As the API names these: SpanKind.INTERNAL, SpanKind.CLIENT, SpanStatusCode.ERROR. */
const INTERNAL = 0;
const CLIENT = 2;
const ERROR = 2;
const OPTIONS = ['tracerProvider', 'operations', 'keys'];

/** Names have no more variants than there are namespaces: no key is in one. */
const nameOf = (action, namespace) => (namespace === '' ? action : `${action} ${namespace}`);

/**
 * @param {ComputeMessage} message
 * @param {boolean} withKeys
 * @returns {About}
 */
function ofCompute({ cache, keys }, withKeys) {
  const attributes = { 'holdfast.namespace': cache, 'holdfast.key.count': keys.length };
  if (withKeys) attributes['holdfast.keys'] = keys;
  return { name: nameOf('compute', cache), kind: INTERNAL, attributes };
}

/**
 * @param {BatchMessage} message
 * @returns {About | null} null where Redis is not asked
 */
function ofBatch({ cache, size, atOnce }) {
  if (atOnce === size) return null;
  const attributes = { 'db.system.name': 'redis', 'db.operation.name': 'PIPELINE', 'holdfast.namespace': cache };
  // By the conventions one operation is no batch.
  if (size - atOnce > 1) attributes['db.operation.batch.size'] = size - atOnce;
  return { name: nameOf('PIPELINE', cache), kind: CLIENT, attributes };
}

/**
 * @param {OperationMessage} message
 * @param {boolean} withKeys
 * @returns {About}
 */
function ofOperation({ operation, cache, key, keys }, withKeys) {
  const attributes = { 'holdfast.namespace': cache };
  const count = key === undefined ? keys : 1;
  if (count !== undefined) attributes['holdfast.key.count'] = count;
  if (withKeys && key !== undefined) attributes['holdfast.keys'] = [key];
  return { name: nameOf(operation, cache), kind: INTERNAL, attributes };
}

/**
 * Of an error only the kind and the message are told. It is the application's, so it may be anything.
 * @param {any} span
 * @param {any} error
 */
function recordError(span, error) {
  let type = '_OTHER';
  let message;
  try {
    const { code, name } = error;
    if (typeof name === 'string') type = name;
    if (typeof code === 'string') type = code;
    if (typeof error.message === 'string') message = error.message;
  } catch {
    // It has no properties, or refuses to be read.
  }
  span.setAttribute('error.type', type);
  span.setStatus({ code: ERROR, message });
  if (message !== undefined) span.recordException({ name: type, message });
}

/** Where OpenTelemetry keeps its active context; one that nobody reads where it is kept otherwise. */
function storeOf(context) {
  const kept = Object.values(context._getContextManager?.() ?? {}).find((each) => each instanceof AsyncLocalStorage);
  return kept ?? new AsyncLocalStorage();
}

/**
 * Makes a span for each message of a TracingChannel.
 * @param {string} channel
 * @param {(message: any) => any} open starts the span of a message; gives the context that has it
 * @param {any} store bound to the begin where the channel runs something; null: it does not
 * @returns {() => void} what ends it
 */
function follow(channel, open, store) {
  const nameOfEvent = (event) => `tracing:${channel}:${event}`;
  /** @type {WeakMap<object, any>} */
  const spans = new WeakMap();
  const begin = (message) => {
    const { span, context } = open(message);
    if (span !== null) spans.set(message, span);
    return context;
  };
  const end = (message) => {
    const span = spans.get(message);
    if (span === undefined) return;
    spans.delete(message);
    if (message.hits !== undefined) span.setAttribute('holdfast.hits', message.hits);
    span.end();
  };
  // What throws at once has no asynchronous end.
  const fail = (message) => {
    const span = spans.get(message);
    if (span !== undefined) recordError(span, message.error);
    end(message);
  };
  const start = diagnostics.channel(nameOfEvent('start'));
  if (store === null) diagnostics.subscribe(start.name, begin);
  else start.bindStore(store, begin);
  diagnostics.subscribe(nameOfEvent('error'), fail);
  diagnostics.subscribe(nameOfEvent('asyncEnd'), end);
  return () => {
    if (store === null) diagnostics.unsubscribe(start.name, begin);
    else start.unbindStore(store);
    diagnostics.unsubscribe(nameOfEvent('error'), fail);
    diagnostics.unsubscribe(nameOfEvent('asyncEnd'), end);
  };
}

/** @param {any} given options of `trace` */
function checked(given) {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw invalid('options must be an object');
  if (!Object.keys(given).every((name) => OPTIONS.includes(name))) {
    throw invalid(`unknown option of trace: it takes ${OPTIONS.join(', ')}`);
  }
  const { operations = false, keys = false, tracerProvider } = given;
  for (const [option, value] of Object.entries({ operations, keys })) {
    if (typeof value !== 'boolean') throw invalid(`${option} must be true or false`);
  }
  return { operations, keys, tracerProvider };
}

/** A store is bound to a channel once: a second one would take the place of the first. */
let isTracing = false;

/** @param {Record<string, any>} [options] */
function trace(options = {}) {
  const { operations, keys, tracerProvider } = checked(options);
  if (isTracing) throw invalid('the caches are traced already: stop that first');
  // Only now: whoever wants no spans need not have the API where this package finds it.
  const api = require('@opentelemetry/api');
  const provider = tracerProvider ?? api.trace.getTracerProvider();
  if (typeof provider?.getTracer !== 'function') throw invalid('tracerProvider must be one of OpenTelemetry');
  const tracer = provider.getTracer(SCOPE.name, SCOPE.version);
  const openerOf = (aboutOf) => (message) => {
    const parent = api.context.active();
    const about = aboutOf(message, keys);
    if (about === null) return { span: null, context: parent };
    const span = tracer.startSpan(about.name, about, parent);
    return { span, context: api.trace.setSpan(parent, span) };
  };
  const store = storeOf(api.context);
  const ends = [
    follow('holdfast:compute', openerOf(ofCompute), store),
    follow('holdfast:batch', openerOf(ofBatch), null),
  ];
  if (operations) ends.push(follow('holdfast:operation', openerOf(ofOperation), store));
  isTracing = true;
  return {
    stop() {
      if (ends.length > 0) isTracing = false;
      for (const end of ends.splice(0)) end();
    },
  };
}

module.exports = { trace };
