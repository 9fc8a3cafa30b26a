// The names by which Nest finds what this module provides.
'use strict';

/**
 * The token of the cache, a class so that TypeScript's own metadata names it: `constructor(cache: HoldfastCache)`. What
 * is injected is a cache of createCache, not an instance of it.
 */
class HoldfastCache {}

/** The token of `@nestjs/cache-manager`, by which its CacheInterceptor asks for a manager. */
const CACHE_MANAGER = 'CACHE_MANAGER';
/** Options of the module. */
const OPTIONS = Symbol('holdfast/nest options');
/** The cache with whether this module opened it. */
const OPENED = Symbol('holdfast/nest opened');

module.exports = { CACHE_MANAGER, HoldfastCache, OPENED, OPTIONS };
