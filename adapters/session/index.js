// Owns `holdfast/session`: the session store of express-session.
//
// A store has to be made from the `Store` of the application's own express-session, so the application hands that over.
// Sessions lie in Redis as connect-redis leaves them: JSON at `sess:ID`. They are read as texts and parsed here, since
// express-session writes into what it is given.
//
// An outage is where a cache and a session store part: what is written while Redis is away is gone when it is back, and
// with it the older value in Redis. So a session that was only used, and not changed, must not be written meanwhile.
'use strict';

const { callbackify } = require('node:util');
const { openTexts } = require('../shared/texts.js');

/** The prefix, and the seconds for sessions whose cookie ends with the browser: both as with connect-redis. */
const NAMESPACE = 'sess';
const TTL_S = 86_400;
/**
 * A session is prolonged once this part of its time is over, or so many seconds: a write for each request is wasted.
 */
const TOUCH_PART = 1 / 20;
const MAX_TOUCH_S = 60;

/** The option `store` of express-session. `session`: what `require('express-session')` gives. */
function sessionStore(session, options = {}) {
  const { disableTouch = false, ttl = TTL_S, ...rest } = options;
  const cache = openTexts({ ...rest, ttl }, { namespace: NAMESPACE });

  /** When a session ends: with its cookie, where that has an end; a moment that has passed removes the session. */
  const endOf = ({ cookie }) => (cookie?.expires ? { expiresAt: new Date(cookie.expires) } : { ttl });

  /** A scan may name a key twice. */
  async function idsOf() {
    const ids = new Set();
    for await (const names of cache.scan()) for (const name of names) ids.add(name);
    return [...ids];
  }

  const functions = {
    get: async (sid) => sessionOf(await cache.get(sid)),
    set: async (sid, data) => cache.set(sid, JSON.stringify(data), endOf(data)),
    destroy: async (sid) => void (await cache.del(sid)),
    touch: async (sid, data) => {
      if (disableTouch) return;
      const end = endOf(data);
      const wanted = end.ttl ?? (end.expiresAt - Date.now()) / 1000;
      // null, too, of a session from before an outage, which must not be written while it lasts.
      const left = await cache.ttl(sid);
      if (left === null || wanted - left <= Math.min(wanted * TOUCH_PART, MAX_TOUCH_S)) return;
      await cache.expire(sid, end);
      // A write takes the session out of the near cache, from which it is read should Redis go away: back with it.
      await cache.get(sid);
    },
    all: async () => {
      const ids = await idsOf();
      const sessions = (await cache.getMany(ids)).map(sessionOf);
      return sessions.flatMap((data, at) => (data === null ? [] : [{ ...data, id: ids[at] }]));
    },
    ids: idsOf,
    length: async () => (await idsOf()).length,
    clear: async () => void (await cache.clear()),
  };

  class HoldfastStore extends session.Store {
    cache = cache;
  }
  for (const [name, run] of Object.entries(functions)) HoldfastStore.prototype[name] = withCallback(run);
  return new HoldfastStore();
}

/** What was stored, as a session; null where it is none, which must not fail the request. */
function sessionOf(text) {
  try {
    const data = JSON.parse(text ?? 'null');
    return typeof data?.cookie === 'object' && data.cookie !== null ? data : null;
  } catch {
    return null;
  }
}

/** The function with a callback behind its arguments, which may be left out, and with it word of an error. */
function withCallback(run) {
  const called = callbackify(run);
  return (...args) => {
    const callback = args[run.length];
    called(...args.slice(0, run.length), typeof callback === 'function' ? callback : () => {});
  };
}

module.exports = { sessionStore };
