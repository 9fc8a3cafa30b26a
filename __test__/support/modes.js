// The ways a cache can work; the contract suite runs over each of them.
'use strict';

const { makeCache } = require('./holdfast');
const { startRedis } = require('./redis-server');
const { untilMode } = require('./until');

// `cache(options)` makes a cache that is in this mode, in a namespace of its own where `options` name none; `protocol`
// is what the server must see.
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
  protocol = 3;
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

/** A server that does not know HELLO. An ACL would not do: Redis lets everybody say HELLO, whatever it denies. */
class Resp2Mode extends RedisMode {
  name = 'redis mode over RESP2';
  protocol = 2;

  async start() {
    this.server = await startRedis({ config: ['rename-command HELLO ""'] });
    this.url = this.server.url();
  }
}

/** Redis mode with the socket in the hands of the engine's thread, or of the event loop. */
class DrivenMode extends RedisMode {
  constructor(io) {
    super();
    this.name = `${this.name}, io: ${io}`;
    this.io = io;
  }

  cache(options) {
    return super.cache({ io: this.io, ...options });
  }
}

const [memory, redis, resp2] = [new MemoryMode(), new RedisMode(), new Resp2Mode()];
const driven = ['thread', 'loop'].map((io) => new DrivenMode(io));

module.exports = { MODES: [memory, redis, resp2], DRIVEN: [memory, ...driven, resp2] };
