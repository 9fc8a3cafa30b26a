// Owns what both handlers of Next stand on: entries with tags that can be ended at once or softly, also while Redis is
// away.
//
// **What an entry depends on is known in two ways.** Its own tags are tags of the cache: each entry carries their
// tokens, so an end reaches every process, nothing that is lost can bring an entry back, and no clocks are compared.
// Next also names tags only when it reads (the paths on whose behalf it asks), and it stores what it began to render
// before a tag ended. Both are found by the time at which a tag was last ended: an entry that was begun before is over.
//
// **What was ended softly** is a miss to `get`, so a second look asks for old values, and says that they are stale.
//
// **An outage.** Redis hears of an end when it is back, but keeps no time of it. So tags that end meanwhile are ended
// once more then. And a tag of which this process knows nothing reads as ended just now, which would make each read a
// miss for as long as the outage lasts: a read that found nothing makes its tags known.
'use strict';

const { HoldfastError } = require('../../../src/js/index.js');
const { openCache } = require('../cache.js');
const { namesOf } = require('./names.js');
const { pack, unpack } = require('./record.js');

/** The tags of the cache that one entry may have. Those beyond are known by their times alone. */
const MAX_TAGS = 128;
/** Seconds: the longest soft end. Records of tags live as long, so entries are kept no longer by default either. */
const LONGEST_S = 30 * 86_400;
/** Tags that ended in an outage and are remembered; of more, the whole namespace is emptied behind it. */
const MAX_OWED = 10_000;
/** In front of an old value, in what the second look returns; an entry itself begins with a brace. */
const OLD = Buffer.from('old ');
const NOTHING = Buffer.alloc(0);

class TaggedEntries {
  #maxTtl;
  #rejects;
  /** Tags to be ended once more when Redis is back; null: too many to remember. */
  #owed = new Set();
  #outages = 0;

  /** `onOutage`: whether `end` rejects while Redis is away. `maxTtl`: the most seconds for which an entry is kept. */
  constructor({ onOutage = 'local', maxTtl = LONGEST_S, ...options }, namespace) {
    if (onOutage !== 'local' && onOutage !== 'reject') {
      throw new HoldfastError('ERR_CONFIG', "onOutage must be 'local' or 'reject'");
    }
    this.#maxTtl = maxTtl;
    this.#rejects = onOutage === 'reject';
    this.cache = openCache(isBuild() ? inMemory(options) : options, { namespace }, 'raw');
    this.cache.on('fallback', () => {
      this.#outages++;
    });
    this.cache.on('recovered', () => this.#settle());
  }

  /**
   * The entry of a name: `{ head, parts, isStale }`, or undefined. `asked`: tags of the reader; an entry that was begun
   * before one of them ended is none, unless it is a tag of its own, which may have ended softly.
   */
  async read(name, asked = []) {
    const names = namesOf(asked);
    const now = Date.now();
    const [bytes, times] = await Promise.all([this.cache.get(name), this.cache.tagTimes(names)]);
    const ends = new Map(names.map((tag, at) => [tag, times[at]]));
    const found = await this.#judged(bytes, ends);
    if (found !== undefined) return found;
    const old = await this.#judged(await this.#look(name), ends);
    if (old === undefined) await this.#know(names.filter((_, at) => times[at] >= now));
    return old;
  }

  /**
   * Stores an entry. `since`: when its making began, in milliseconds; `ttl`: seconds. Resolves to whether it was
   * stored: not what is over already, nor what ended while it was made, nor what is too large.
   */
  async write(name, head, parts, { tags, since, ttl }) {
    const names = namesOf(tags);
    const life = Math.min(ttl, this.#maxTtl);
    if (!(life > 0)) return false;
    if (!this.#isAway() && (await this.lastEnd(names)) >= Math.floor(since)) return false;
    try {
      const bytes = pack({ ...head, tags: [...tags], since }, parts);
      await this.cache.set(name, bytes, { ttl: life, tags: names.slice(0, MAX_TAGS) });
      return true;
    } catch (error) {
      if (error.code !== 'ERR_VALUE_TOO_LARGE') throw error;
      // What lies there is older than what could not be stored.
      await this.cache.del(name);
      process.emitWarning(`an entry is not stored: ${error.message}`, { code: error.code });
      return false;
    }
  }

  /** When the last of these tags ended, in milliseconds since 1970; 0: none ever did. */
  async lastEnd(tags) {
    return Math.max(0, ...(await this.cache.tagTimes(namesOf(tags))));
  }

  /** Ends tags: at once, or with `durations` softly, for `durations.expire` seconds. */
  async end(tags, durations) {
    const names = namesOf(tags);
    if (names.length === 0) return;
    const stale = durations ? Math.max(0, Math.min(durations.expire ?? LONGEST_S, LONGEST_S)) : 0;
    const before = this.#outages;
    await this.cache.invalidateTags(names, { stale });
    if (before === this.#outages && !this.#isAway()) return;
    this.#owe(names);
    if (!this.#rejects) return;
    const message = 'Redis is away: the tags have ended in this process, and end in the others when it is back';
    throw new HoldfastError('ERR_REDIS_UNAVAILABLE', message);
  }

  /** Whether this call is the one that may do something for the next `seconds`, of all in all processes. */
  async lead(name, seconds) {
    return this.cache.setIfAbsent(`lead:${name}`, NOTHING, { ttl: seconds });
  }

  /** Ends what `lead` began. */
  async follow(name) {
    await this.cache.del(`lead:${name}`);
  }

  /** What bytes are to a reader, by when its tags and those of the entry ended. */
  async #judged(bytes, asked) {
    const isStale = bytes?.subarray(0, OLD.length).equals(OLD) ?? false;
    const entry = bytes === null ? undefined : unpack(isStale ? bytes.subarray(OLD.length) : bytes);
    if (entry === undefined) return undefined;
    const since = Math.floor(entry.head.since);
    const own = namesOf(entry.head.tags);
    for (const [tag, time] of asked) if (time >= since && !own.includes(tag)) return undefined;
    // That the cache calls it stale covers the tags that it knows; a value that it calls fresh was begun too early.
    if ((await this.lastEnd(isStale ? own.slice(MAX_TAGS) : own)) >= since) return undefined;
    return { ...entry, isStale };
  }

  /** The second look: what is there, or behind `OLD` what was ended softly. Stores nothing, and leads nobody. */
  async #look(name) {
    const old = ({ stale, skip }) => {
      skip();
      return Buffer.concat([OLD, stale ?? NOTHING]);
    };
    return this.cache.getOrCompute(name, old, { grace: LONGEST_S, lock: false });
  }

  /** Makes tags known while Redis is away: from now on they have not ended, until this process ends them. */
  async #know(names) {
    if (names.length === 0 || !this.#isAway()) return;
    for (let from = 0; from < names.length; from += MAX_TAGS) {
      await this.cache.set('known', NOTHING, { ttl: 1, tags: names.slice(from, from + MAX_TAGS) });
    }
  }

  /** Whether a Redis is configured, and does not answer calls. */
  #isAway() {
    return this.cache.health().breaker !== 'closed';
  }

  #owe(names) {
    for (const name of names) this.#owed?.add(name);
    if (this.#owed !== null && this.#owed.size > MAX_OWED) this.#owed = null;
  }

  /** Redis is back, and has removed what ended: now it also learns when. */
  async #settle() {
    const owed = this.#owed;
    this.#owed = new Set();
    try {
      if (owed === null) await this.cache.clear();
      else await this.end([...owed]);
    } catch {
      // Closed, or gone again: then `end` has noted them anew.
    }
  }
}

/** A build needs no Redis: it runs where there may be none, and its processes each build pages of their own. */
function isBuild() {
  return process.env.NEXT_PHASE === 'phase-production-build';
}

function inMemory({ namespace, maxMemory, maxValueBytes, logger }) {
  const kept = { namespace, maxMemory, maxValueBytes, logger };
  return { ...Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)), url: '' };
}

module.exports = { isBuild, TaggedEntries };
