// express-rate-limit, hono-rate-limiter and @fastify/rate-limit take the stores.

import fastifyRateLimit from '@fastify/rate-limit';
import { rateLimit, type Store } from 'express-rate-limit';
import fastify from 'fastify';
import type { Cache } from 'holdfast';
import { fastifyStore, RateLimitStore } from 'holdfast/rate-limit';
import { rateLimiter } from 'hono-rate-limiter';

const store: Store = new RateLimitStore({ namespace: 'login' });
export const express = rateLimit({ store, windowMs: 60_000, limit: 5 });
export const hono = rateLimiter({ store: new RateLimitStore(), windowMs: 60_000, limit: 5, keyGenerator: () => 'all' });
export const plugin = fastify().register(fastifyRateLimit, { store: fastifyStore({ namespace: 'api' }), max: 5 });
export const cache: Cache = fastifyStore().cache;
// @ts-expect-error the codec is the adapter's own
new RateLimitStore({ codec: 'json' });
