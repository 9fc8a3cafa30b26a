// The ways a cache can work; the contract suite runs over each of them.
'use strict';

const { startCluster } = require('./fleet/cluster');
const { startSentinels } = require('./fleet/sentinels');
const { makeCache } = require('./holdfast');
const { Double } = require('./providers/double');
const { PROFILES, SCRIPTS } = require('./providers/profiles');
const { startRedis } = require('./redis-server');
const { untilMode } = require('./until');

// `cache(options)` makes a cache that is in this mode, in a namespace of its own where `options` name none; `protocol`
// is what the server must see; `lacks`: it does not know, or denies, what is named when connecting; `scripts`: it runs
// them.
class MemoryMode {
  name = 'memory mode';
  mode = 'memory';
  shared = false;
  lacks = false;
  scripts = true;
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
  servers = 1;

  async start() {
    this.server = await startRedis();
    this.url = this.server.url();
  }

  async stop() {
    await this.server?.stop();
    this.server = null;
  }

  /** The server that has a stored key. */
  async serverOf() {
    return this.server;
  }
}

/** A server that does not know HELLO. An ACL would not do: Redis lets everybody say HELLO, whatever it denies. */
class Resp2Mode extends RedisMode {
  name = 'redis mode over RESP2';
  protocol = 2;
  lacks = true;

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

/** A primary that sentinels name. */
class SentinelMode extends RedisMode {
  name = 'behind sentinels';
  isFleet = true;

  async start() {
    this.fleet = await startSentinels();
    this.server = await this.fleet.primary();
    const hosts = this.fleet.sentinels.map(({ host, port }) => `${host}:${port}`);
    this.url = `redis+sentinel://${hosts.join(',')}/${this.fleet.name}`;
  }

  async stop() {
    await this.fleet?.stop();
    this.fleet = null;
  }
}

/** Three primaries with a replica each. */
class ClusterMode extends RedisMode {
  name = 'cluster mode';
  isFleet = true;
  servers = 3;

  async start() {
    this.cluster = await startCluster();
    this.url = this.cluster.url();
    this.server = new ClusterServer(this.cluster);
  }

  serverOf(key) {
    return this.cluster.ownerOf(key);
  }

  async stop() {
    await this.cluster?.stop();
    this.cluster = null;
  }
}

/** A cluster as one server, as far as the suite asks. */
class ClusterServer {
  constructor(cluster) {
    this.cluster = cluster;
  }

  /** Where its key is, or everywhere where it has none; numbers are added up. */
  async cli(command, ...args) {
    const sum = async (answers) => `${(await Promise.all(answers)).reduce((all, one) => all + Number(one), 0)}`;
    if (command === 'exists') return sum(args.map(async (key) => (await this.#of(key)).cli(command, key)));
    if (command !== 'dbsize' && !['config', 'slowlog', 'client', 'info'].includes(command)) {
      return (await this.#of(args[0])).cli(command, ...args);
    }
    const answers = (await this.cluster.primaries()).map((node) => node.cli(command, ...args));
    return command === 'dbsize' ? sum(answers) : (await Promise.all(answers)).join('\n');
  }

  #of(key) {
    return this.cluster.ownerOf(key);
  }

  async setBytes(key, bytes) {
    return (await this.cluster.ownerOf(key)).setBytes(key, bytes);
  }
}

/** A server without what a provider lacks. */
class ProviderMode extends RedisMode {
  constructor(profile) {
    super();
    this.profile = profile;
    this.name = `as at ${profile.name}`;
    const { renamed = [], lacks } = profile;
    this.lacks = lacks.length > 0;
    this.scripts = !lacks.includes(SCRIPTS);
    this.isFleet = Boolean(profile.cluster);
    // Without CLIENT the connection has no name by which the suite could find it.
    this.protocol = renamed.includes('CLIENT') ? 0 : renamed.includes('HELLO') ? 2 : 3;
  }

  async start() {
    // Some tests make caches by the URL alone, which cannot say whom TLS should trust.
    this.server = await new Double({ ...this.profile, selfSigned: false }).start();
    this.url = this.server.url();
  }

  cache(options) {
    return super.cache({ ...this.profile.options, lazy: false, ...options });
  }
}

const [memory, redis, resp2] = [new MemoryMode(), new RedisMode(), new Resp2Mode()];
const driven = ['thread', 'loop'].map((io) => new DrivenMode(io));

const behind = new SentinelMode();
const clustered = new ClusterMode();
// The provider that differs most from a server of one's own; all of them take half an hour:
// `HOLDFAST_TEST_PROVIDERS=1 npx jest contract.spec -t 'as at'`.
const MOST_UNLIKE = 'Memorystore for Redis';
const odd = process.env.HOLDFAST_TEST_PROVIDERS ? PROFILES : PROFILES.filter(({ name }) => name === MOST_UNLIKE);
const providers = odd.map((profile) => new ProviderMode(profile));

module.exports = {
  MODES: [memory, redis, resp2],
  DRIVEN: [memory, ...driven, resp2, behind, clustered, ...providers],
};
