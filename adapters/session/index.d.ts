/**
 * `holdfast/session`: the session store of express-session. What an outage of Redis does to sessions:
 * docs/adapters/session.md.
 *
 * ```ts
 * app.use(session({ store: sessionStore(session), secret, resave: false, saveUninitialized: false }));
 * ```
 */

import type { SessionData, Store } from 'express-session';
import type { Cache, Ttl } from '../../index';
import type { AdapterOptions } from '../shared/options';

/** Options of `createCache`, all of them optional. `namespace`: `sess` by default, so that keys are `sess:ID`. */
export interface SessionOptions extends AdapterOptions {
  /** Seconds for sessions whose cookie has no end of its own. Default 86,400. */
  ttl?: Ttl;
  /** Whether a request that changes nothing leaves the end of its session where it is. Default false. */
  disableTouch?: boolean;
}

/** Errors reach the callback: mistakes of the caller (`HoldfastError`), and never that Redis is away. */
export interface SessionStore extends Store {
  /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are JSON texts. */
  readonly cache: Cache;
  /** All sessions, each with its `id`. */
  all(callback: (error: unknown, sessions?: Array<SessionData & { id: string }>) => void): void;
  ids(callback: (error: unknown, ids?: string[]) => void): void;
  length(callback: (error: unknown, length?: number) => void): void;
  /** Removes the sessions of the namespace, and nothing else. */
  clear(callback?: (error?: unknown) => void): void;
  /**
   * Lets the session end later, once a twentieth of its time is over, or a minute. Without effect on
   * older sessions while Redis is away.
   */
  touch(sid: string, session: SessionData, callback?: () => void): void;
}

/**
 * Throws `ERR_CONFIG` for options that do not parse. Connecting begins in the background.
 *
 * @param session what `require('express-session')` gives
 */
export function sessionStore(session: { Store: abstract new () => Store }, options?: SessionOptions): SessionStore;
