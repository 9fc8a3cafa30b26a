/**
 * holdfast/http: responses from the cache, by the rules of RFC 9111, for Express 4 and 5, Fastify 5 and Hono 4.
 *
 * Nothing that the cache does fails a request or keeps it waiting longer than the option `wait`: without Redis the
 * in-process tier answers, and where nothing answers, the handler does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cache } from '../../index';

/** A value of a framework, whose types this package cannot name: it needs none of them. */
// biome-ignore lint/suspicious/noExplicitAny: no other type is taken for each framework's own.
type Theirs = any;

/** Options of a response cache. Unknown ones, and such of the wrong type, throw `ERR_INVALID_ARGUMENT`. */
export interface HttpCacheOptions<Request = unknown> {
  /**
   * Where responses lie: a cache with codec `raw`. Default: one of its own in the namespace `http`, opened as
   * `createCache` does. Give one where the application wants to end tags, or to close it.
   */
  cache?: Cache;
  /**
   * Seconds for which a response is fresh that says nothing of it itself, if its status is 200, 203, 300, 301 or 308
   * and its request had no credentials. Default 0: only what has `Cache-Control: max-age` or `s-maxage`, or `Expires`,
   * is stored.
   */
  ttl?: number;
  /** Seconds, for responses without `stale-while-revalidate` of their own. Default 0. */
  swr?: number;
  /** Seconds, for responses without `stale-if-error` of their own. Default 0. */
  grace?: number;
  /**
   * The most seconds that any response is kept, and may serve, beyond its freshness; longer windows are cut to it.
   * Redis keeps each response so much longer. Default 300, or `swr` or `grace` where one of them is larger.
   */
  maxStale?: number;
  /** The most bytes of a body that is stored; a larger one reaches its client alone. Default 1,048,576. */
  maxBytes?: number;
  /** The most seconds for which a request waits for another one's response, before its own handler runs. Default 10. */
  wait?: number;
  /**
   * What is the same for requests that share a response. Default: the URL with its scheme and host. It may be async.
   * With this option an unsafe request ends only the responses of its own key.
   */
  key?: (request: Request) => string | Promise<string>;
  /** Tags of the responses, for `invalidateTags` of the cache; a function may be async. Default: none. */
  tags?:
    | readonly string[]
    | ((request: Request) => readonly string[] | undefined | Promise<readonly string[] | undefined>);
  /**
   * Tags that are only known once the handler has answered, beside those of `tags`: its names of response fields are in
   * lower case. May be async. A response is not stored where one of its tags was invalidated after the request had
   * begun. The first response of a URL that turns out to vary is not stored where it has such tags. Default: none.
   */
  responseTags?: (response: {
    status: number;
    headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  }) => readonly string[] | undefined | Promise<readonly string[] | undefined>;
  /**
   * Request headers that say who asks. What is made for such a request is stored only where it says `public` or
   * `s-maxage`, and it never gets what was made for a request without. Default `['authorization', 'cookie']`.
   */
  credentials?: readonly string[];
  /** Stores a response that sets cookies, without them. Default false: it is not stored. */
  withoutSetCookie?: boolean;
  /** Whether `Cache-Control` and `Pragma` of requests count. Default true. */
  requestDirectives?: boolean;
  /** Whether responses have the fields `Cache-Status` (RFC 9211) and `X-Cache`. Default true. */
  statusHeaders?: boolean;
}

/** Middleware for `app.use` and for single routes. `Request` is the type of Express' request, for `key` and `tags`. */
export function express<Request = Theirs>(
  options?: HttpCacheOptions<Request>,
): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

/**
 * A plugin, for the scope in which it is registered. A route's `config.holdfast` may be `false`, or options in place of
 * the plugin's.
 */
export function fastify(instance: Theirs, options: HttpCacheOptions<Theirs>, done: (error?: Error) => void): void;

/** Options of {@link hono}. */
export interface HonoCacheOptions<Context = Theirs> extends HttpCacheOptions<Context> {
  /** The application that has the whole of the routes, through which a stale response is made anew. Required. */
  app: { fetch(request: globalThis.Request, ...rest: Theirs[]): globalThis.Response | Promise<globalThis.Response> };
}

/** Middleware for `app.use` and for single routes. `Context` is the type of Hono's, for `key` and `tags`. */
export function hono<Context = Theirs>(
  options: HonoCacheOptions<Context>,
): (c: Theirs, next: () => Promise<void>) => Promise<void>;
