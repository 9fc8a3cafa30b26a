// The ways a cache can work; the contract suite runs over each of them.
'use strict';

const { makeCache } = require('./holdfast');
const { startRedis } = require('./redis-server');
const { untilMode } = require('./until');

/** `cache(options)` makes a cache that is in this mode, in a namespace of its own where `options` name none. */
class MemoryMode {
  name = 'memory mode';
  mode = 'memory';
  shared = false;
  url = '';

  async start() {}
  async stop() {}

  async cache(options) {
    const cache = makeCache({ url: this.url, ...options });
    await untilMode(cache, this.mode);
    return cache;
  }
}

class RedisMode extends MemoryMode {
  name = 'redis mode';
  mode = 'redis';
  shared = true;

  async start() {
    this.server = await startRedis();
    this.url = this.server.url();
  }

  stop() {
    return this.server.stop();
  }
}

/** A server that refuses HELLO, as those before Redis 6 do. */
class Resp2Mode extends RedisMode {
  name = 'redis mode over RESP2';

  async start() {
    this.server = await startRedis({ acl: ['user old on >pass ~* &* +@all -hello'] });
    this.url = this.server.url({ user: 'old', password: 'pass' });
  }
}

module.exports = { MODES: [new MemoryMode(), new RedisMode(), new Resp2Mode()] };
