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

  async stop() {
    await this.server?.stop();
    this.server = null;
  }
}

/** A server that refuses HELLO. It is the default user who may not: HELLO runs before its own AUTH takes effect. */
class Resp2Mode extends RedisMode {
  name = 'redis mode over RESP2';

  async start() {
    this.server = await startRedis({ acl: ['user default on nopass ~* &* +@all -hello'] });
    this.url = this.server.url();
  }
}

module.exports = { MODES: [new MemoryMode(), new RedisMode(), new Resp2Mode()] };
