// The handler of @trieb.work/nextjs-turbo-redis-cache for 'use cache', as its README sets it up.
'use strict';

const { redisCacheHandler } = require('@trieb.work/nextjs-turbo-redis-cache');

module.exports = redisCacheHandler;
