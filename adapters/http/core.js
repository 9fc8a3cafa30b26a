// A request's way through the response cache; the skins translate it for their frameworks.
//
// `getOrCompute` finds the response, or runs the handler for all who ask for it, in all instances. One of these
// requests leads: its handler answers its own client directly, byte by byte as without a cache, while a `Capture`
// listens. The others get the copy. What may not be stored is nobody else's: then each of them runs its own handler,
// and a record says for a few seconds that nobody need wait for this URL (a hit for pass).
//
// An old response that may still serve is replaced by a request that no client waits for: the skin sends it through the
// whole application once more. So the client's own answer is never in the hands of two.
//
// Where responses vary, the record at the URL's own key only names the request fields, and each combination of their
// values has a key of its own, with the id of that record in it: to remove that one record is to remove them all.
'use strict';

const { Capture, Gone } = require('./capture.js');
const { conditionsOf, etagOf, isNotModified } = require('./conditions.js');
const { optionsOf } = require('./options.js');
const { decode, encode, variantKey, varyBy } = require('./record.js');
const { SAFE, ageAt, demandsOf, planOf, standsIn, storedFields, useOf } = require('./rules.js');

/** Seconds for which nobody waits for a URL whose answer could not be stored, and for one whose handler failed. */
const PASS_S = 10;
const FAILED_S = 1;
/** Seconds after which it is asked anew by which fields the responses of a URL vary. */
const VARY_S = 86_400;
/** A request looks so often for its response, as records may change under it, before its own handler answers. */
const MAX_LOOKS = 4;

const warned = new Set();
/** Tells of a mistake of the application's, which fails no request. */
function warnOnce(message) {
  if (warned.has(message)) return;
  warned.add(message);
  process.emitWarning(`holdfast/http: ${message}; requests go past the cache`);
}

class HttpCache {
  /** @param {Record<string, any>} [given] */
  constructor(given) {
    this.options = optionsOf(given);
    this.cache = this.options.cache;
  }

  /**
   * Answers a request, from the cache or by its handler. Nothing that the cache does makes it fail.
   * @param {any} exchange see skins/node.js
   */
  async handle(exchange) {
    const visit = new Visit(this, exchange);
    try {
      await visit.run();
    } catch (error) {
      if (visit.answered) throw error;
      warnOnce('the option key or tags threw');
      visit.pass('BYPASS', 'fwd=bypass');
    }
  }

  /** @param {string} url with its origin */
  keysOf(url) {
    return [`any ${url}`, `personal ${url}`];
  }

  /**
   * What an unsafe request makes untrue (4.4): its own URL, and those of the same origin that its answer names.
   * @param {any} exchange
   * @param {number} status
   * @param {Record<string, any>} headers
   */
  async invalidate({ request, origin, path }, status, headers) {
    if (status < 200 || status >= 400) return;
    const { key } = this.options;
    const urls = [key === undefined ? origin + path : key(request)];
    for (const name of key === undefined ? ['location', 'content-location'] : []) {
      const named = headers[name] === undefined ? undefined : urlOf(headers[name], origin + path);
      if (named?.origin === origin) urls.push(origin + named.pathname + named.search);
    }
    // The handler has done its work: no answer is held back by what a cache could not remove.
    await this.cache.del(urls.flatMap((url) => this.keysOf(url))).catch(() => {});
  }
}

function urlOf(text, base) {
  try {
    return new URL(String(text), base);
  } catch {
    return undefined;
  }
}

/** One request. */
class Visit {
  /** Whether its handler, or the cache, has been told to answer it: only one of them may. */
  answered = false;
  /** Whether it has run the handler for what it is answered with. */
  made = false;
  /** @type {{ bytes: unknown, record: any }} the record that was read last */
  #last = { bytes: undefined, record: undefined };

  /**
   * @param {HttpCache} http
   * @param {any} exchange
   */
  constructor(http, exchange) {
    this.http = http;
    this.exchange = exchange;
    this.options = http.options;
    this.came = Date.now();
  }

  async run() {
    const { exchange, http, options } = this;
    const { method } = exchange;
    if (!SAFE.has(method)) {
      exchange.beforeEnd((status, headers) => http.invalidate(exchange, status, headers));
      return this.pass('BYPASS', 'fwd=method');
    }
    if (method !== 'GET' && method !== 'HEAD') return this.pass('BYPASS', 'fwd=method');
    this.demands = demandsOf(options.requestDirectives ? exchange : { header: () => undefined });
    // A part of a response is not stored (3.3): the handler gives it.
    if (exchange.header('range') !== undefined || this.demands.noStore) return this.pass('BYPASS', 'fwd=request');
    this.conditions = conditionsOf(exchange);
    this.personal = options.credentials.some((name) => exchange.header(name) !== undefined);
    const url = options.key === undefined ? exchange.origin + exchange.path : await options.key(exchange.request);
    this.base = http.keysOf(url)[this.personal ? 1 : 0];
    this.tags = await options.tags(exchange.request);
    await this.look();
  }

  /** Finds the record for this request, by way of those that name fields. */
  async look() {
    // Without the handler there is nothing to wait for (5.2.1.7), and HEAD has no body to store.
    const alone = this.demands.onlyIfCached || this.exchange.method === 'HEAD';
    let vary;
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const key = vary === undefined ? this.base : variantKey(this.base, vary, this.exchange);
      const found = alone ? await this.find(key) : await this.findOrMake(key, vary);
      if (this.answered) return;
      if (found?.kind === 'response') return this.serve(found);
      if (found?.kind === 'vary') vary = found;
      else if (found?.kind === 'again') vary = undefined;
      else break;
    }
    if (this.demands.onlyIfCached) return this.refuse();
    this.pass('MISS', 'fwd=miss');
  }

  /** @param {string} key */
  async find(key) {
    const record = this.read(await this.http.cache.get(key));
    return this.takes(record) ? record : undefined;
  }

  /**
   * @param {string} key
   * @param {any} vary the record that led to this key
   */
  async findOrMake(key, vary) {
    try {
      const bytes = await this.http.cache.getOrCompute(key, (context) => this.make(context, vary), this.terms());
      return this.read(bytes);
    } catch (error) {
      // Whoever led this request's flight has lost its client: another one leads.
      if (error instanceof Gone && !this.answered) return { kind: 'again' };
      if (error?.code === 'ERR_INVALID_ARGUMENT') warnOnce('the option tags, or responseTags, gave what are no tags');
      if (error?.code === 'ERR_INVALID_KEY') warnOnce('the option key gave what is no key');
      // It took too long, or the cache was closed, or the response did not fit: the handler answers.
      return undefined;
    }
  }

  terms() {
    const { wait, maxStale } = this.options;
    const validate = (bytes) => this.takes(this.read(bytes));
    return { ttl: PASS_S, swr: maxStale, hardTimeout: wait, tags: this.tags, validate };
  }

  /** @param {unknown} bytes */
  read(bytes) {
    if (bytes === null || bytes === undefined) return undefined;
    if (this.#last.bytes !== bytes) this.#last = { bytes, record: decode(bytes) };
    if (!Buffer.isBuffer(bytes)) warnOnce("the option cache needs a cache with codec 'raw'");
    return this.#last.record;
  }

  /** Whether a record is of use to this request. The time is that of its arrival, so that the verdict stands. */
  takes(record) {
    if (record === undefined) return false;
    if (record.kind === 'response') return useOf(record, this.demands, this.came) !== undefined;
    return record.until > this.came;
  }

  /**
   * Runs the handler, and makes the record of what it answered.
   * @param {any} context of getOrCompute
   * @param {any} vary
   */
  async make(context, vary) {
    this.made = true;
    const old = this.read(context.stale);
    const spare = old?.kind === 'response' && standsIn(old, this.came) ? old : undefined;
    const capture = new Capture((response) => this.plan(response), this.options.maxBytes);
    // With an old response in reserve the client waits for the outcome, or has been served already.
    if (spare !== undefined || this.takes(old) || this.answered) this.exchange.replay(capture);
    else this.lead(capture);
    const answer = await capture.result;
    const now = Date.now();
    if (answer.plan !== undefined) return this.keep(answer, now, context, vary);
    const failed = answer.status >= 500;
    context.setTtl(failed ? FAILED_S : PASS_S);
    if (failed && spare !== undefined) return encode({ ...spare, retryAt: now + FAILED_S * 1000 });
    return encode({ kind: 'pass', until: now + (failed ? FAILED_S : PASS_S) * 1000 });
  }

  plan(response) {
    return planOf(response, this.personal, this.options, Date.now());
  }

  /**
   * @param {any} answer
   * @param {number} now
   * @param {any} context
   * @param {any} vary
   */
  async keep({ status, headers, plan, body }, now, context, vary) {
    const { vary: names, ...life } = plan;
    const tags = await this.tagsOf({ status, headers });
    context.setTags(tags);
    const fields = storedFields(headers);
    if (status === 200 && headers.etag === undefined) fields.push(['etag', etagOf(body)]);
    const bytes = encode({ kind: 'response', status, fields, time: now, retryAt: 0, ...life, body });
    const ttl = Math.max(0.001, life.lifetime - life.age);
    const known = vary?.names ?? [];
    if (names.every((name) => known.includes(name))) {
      context.setTtl(ttl);
      return bytes;
    }
    const next = varyBy([...new Set([...known, ...names])].sort(), now + VARY_S * 1000);
    // A computation of its own would begin only now, behind what the handler has read.
    if (vary === undefined && tags.length === 0) {
      const own = variantKey(this.base, next, this.exchange);
      await this.http.cache.getOrCompute(own, () => bytes, { ...this.terms(), ttl });
      context.setTtl(VARY_S);
      return encode(next);
    }
    // The record of the names changes outside of its own computation, where no invalidation would be noticed: so the
    // response is not stored with it.
    await this.http.cache.set(this.base, encode(next), { ttl: VARY_S, tags: this.tags });
    context.skip();
    return encode({ kind: 'again', until: now + FAILED_S * 1000 });
  }

  /** @param {{ status: number, headers: Record<string, any> }} response */
  async tagsOf(response) {
    try {
      return (await this.options.responseTags?.(response)) ?? [];
    } catch (error) {
      warnOnce('the option responseTags threw');
      throw error;
    }
  }

  /** @param {Capture} capture */
  lead(capture) {
    this.answered = true;
    const isKnown = (status, headers) => isNotModified(this.conditions, status, headers);
    this.exchange.lead(capture, this.notes('MISS', 'fwd=miss'), isKnown);
  }

  pass(word, detail) {
    this.answered = true;
    this.exchange.pass(this.notes(word, detail));
  }

  /** @param {any} record */
  serve({ status, fields, body, ...stored }) {
    this.answered = true;
    const now = Date.now();
    const age = ageAt(stored, now);
    const left = Math.round(stored.lifetime - age);
    const isNew = stored.time >= this.came;
    const word = isNew ? 'MISS' : age < stored.lifetime ? 'HIT' : 'STALE';
    const detail = isNew ? `fwd=miss${this.made ? '' : '; collapsed'}` : `hit; ttl=${left}`;
    const headers = {
      ...Object.fromEntries(fields),
      date: new Date(stored.time - stored.age * 1000).toUTCString(),
      age: String(Math.floor(age)),
      ...this.notes(word, detail),
    };
    if (isNotModified(this.conditions, status, headers)) this.exchange.serve(304, headers, null);
    else this.exchange.serve(status, headers, body);
  }

  refuse() {
    this.answered = true;
    this.exchange.serve(504, this.notes('MISS', 'fwd=miss'), Buffer.alloc(0));
  }

  /** What the answer says of the cache (RFC 9211). */
  notes(word, detail) {
    return this.options.statusHeaders ? { 'x-cache': word, 'cache-status': `holdfast; ${detail}` } : {};
  }
}

module.exports = { HttpCache };
