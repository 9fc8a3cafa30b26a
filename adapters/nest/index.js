// holdfast/nest: a module for NestJS. The documentation is in index.d.ts.
'use strict';

const { Cached } = require('./cached.js');
const { HoldfastHealthIndicator } = require('./health.js');
const { CacheManager } = require('./manager.js');
const { HoldfastModule } = require('./module.js');
const { HoldfastCache } = require('./tokens.js');

module.exports = { CacheManager, Cached, HoldfastCache, HoldfastHealthIndicator, HoldfastModule };
