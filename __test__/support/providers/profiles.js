// What providers of Redis and Valkey let a client do, as far as it differs from a server of one's own.
// docs/providers.md has the same as a table, with what is known from a vendor's documentation and what is not.
//
// A profile says what the double of a provider lacks. The double is a real server, and not the provider's program: it
// shows what Holdfast does without a command, and neither the provider's own words nor its limits or latencies.
'use strict';

/** Administration that hardly a provider gives away. Holdfast asks for none of it. */
const ADMINISTRATION = ['acl', 'bgrewriteaof', 'bgsave', 'config', 'debug', 'migrate', 'replicaof', 'save', 'shutdown'];

/** The subcommands of CLIENT that Holdfast needs. */
const CLIENT = ['id', 'kill', 'setname', 'tracking'];
const clientWithout = (...missing) => CLIENT.filter((each) => !missing.includes(each));

/** Scripts, in the words in which Holdfast names them. */
const SCRIPTS = 'EVAL, EVALSHA or what scripts call';

/** A queue's default on some, where a cache wants `allkeys-lru`. */
const policy = (name) => ['maxmemory 256mb', `maxmemory-policy ${name}`];

/**
 * `denied`: commands that an ACL denies the application. `client`: the subcommands of CLIENT that it may use, where not
 * all. `renamed`: commands that the server does not know. `config`: further lines of redis.conf. `cluster`: a cluster,
 * of one node. `selfSigned`: TLS, with a certificate that nobody vouches for. `options`: those that docs/providers.md
 * tells to give. `lacks`: what Holdfast must name, and say what follows.
 */
const PROFILES = [
  { name: 'Redis Cloud', denied: [...ADMINISTRATION, 'cluster', 'sync'], lacks: [] },
  {
    name: 'Redis Cloud before 7.4',
    denied: [...ADMINISTRATION, 'cluster', 'sync'],
    client: clientWithout('tracking'),
    lacks: ['CLIENT TRACKING'],
  },
  { name: 'Azure Managed Redis, Enterprise policy', denied: [...ADMINISTRATION, 'cluster', 'sync'], lacks: [] },
  { name: 'Azure Managed Redis, OSS policy', denied: ADMINISTRATION, cluster: true, lacks: [] },
  { name: 'ElastiCache', denied: [...ADMINISTRATION, 'sync'], lacks: [] },
  {
    name: 'ElastiCache without tracking',
    denied: [...ADMINISTRATION, 'sync'],
    client: clientWithout('tracking'),
    lacks: ['CLIENT TRACKING'],
  },
  {
    name: 'ElastiCache Serverless',
    denied: [...ADMINISTRATION, 'sync', 'memory'],
    client: clientWithout('tracking'),
    cluster: true,
    lacks: ['CLIENT TRACKING'],
  },
  { name: 'MemoryDB', denied: [...ADMINISTRATION, 'module', 'psync', 'sync'], cluster: true, lacks: [] },
  {
    name: 'Memorystore for Valkey',
    denied: [...ADMINISTRATION, 'latency', 'module', 'monitor', 'sync'],
    config: policy('volatile-lru'),
    lacks: [],
  },
  {
    name: 'Memorystore for Redis',
    denied: [...ADMINISTRATION, 'cluster', 'command', 'monitor', 'object'],
    renamed: ['CLIENT'],
    config: policy('volatile-lru'),
    lacks: ['CLIENT SETNAME', 'CLIENT ID and CLIENT KILL', 'CLIENT TRACKING'],
  },
  {
    name: 'Upstash',
    denied: ADMINISTRATION,
    client: clientWithout('tracking', 'kill'),
    options: { heartbeat: false, marks: false, lazy: true },
    lacks: ['CLIENT KILL', 'CLIENT TRACKING'],
  },
  { name: 'Dragonfly', lacks: [] },
  { name: 'KeyDB', lacks: [] },
  { name: 'KeyDB before 6', renamed: ['HELLO'], client: clientWithout('tracking'), lacks: ['HELLO'] },
  {
    name: 'Garnet',
    denied: ['memory', 'object', 'slowlog'],
    client: clientWithout('tracking'),
    lacks: ['CLIENT TRACKING'],
  },
  {
    name: 'Tencent, older versions',
    denied: ADMINISTRATION,
    renamed: ['HELLO'],
    client: clientWithout('kill', 'tracking'),
    lacks: ['HELLO', 'CLIENT KILL'],
  },
  {
    name: 'Alibaba Tair, proxy mode',
    denied: [...ADMINISTRATION, 'wait'],
    renamed: ['HELLO'],
    client: clientWithout('id', 'kill', 'tracking'),
    lacks: ['HELLO', 'CLIENT ID and CLIENT KILL'],
  },
  { name: 'Oracle OCI Cache', denied: ['acl', 'cluster', 'config'], lacks: [] },
  {
    name: 'Oracle OCI Cache, sharded',
    denied: ['acl', 'config', 'eval', 'evalsha', 'script'],
    cluster: true,
    lacks: [SCRIPTS],
  },
  // No provider is known to be like this; proxies of several deny scripts in some of their versions.
  {
    name: 'a proxy without scripts',
    denied: [...ADMINISTRATION, 'eval', 'evalsha', 'script', 'role'],
    client: clientWithout('kill', 'tracking'),
    lacks: [SCRIPTS, 'CLIENT KILL', 'CLIENT TRACKING'],
  },
  {
    name: 'Heroku',
    denied: ADMINISTRATION,
    config: ['timeout 300', ...policy('noeviction')],
    selfSigned: true,
    lacks: [],
  },
  {
    name: 'Aiven',
    denied: [...ADMINISTRATION, 'cluster', 'command', 'lastsave', 'monitor', 'role'],
    config: ['timeout 300', ...policy('noeviction')],
    lacks: [],
  },
  { name: 'DigitalOcean', denied: ADMINISTRATION, config: ['timeout 300', ...policy('noeviction')], lacks: [] },
  { name: 'Render', config: policy('allkeys-lru'), lacks: [] },
  { name: 'Railway', lacks: [] },
  {
    name: 'Fly.io',
    denied: ADMINISTRATION,
    client: clientWithout('tracking', 'kill'),
    options: { heartbeat: false, marks: false, lazy: true },
    lacks: ['CLIENT KILL', 'CLIENT TRACKING'],
  },
];

/** What Holdfast must say that follows, by what is missing. */
const CONSEQUENCES = {
  HELLO: /RESP2 is spoken: nothing is kept in process/,
  'CLIENT SETNAME': /the connection has no name/,
  'CLIENT KILL': /what a lost connection had sent may still be executed/,
  'CLIENT ID and CLIENT KILL': /what a lost connection had sent may still be executed/,
  'CLIENT TRACKING': /nothing is kept in process while Redis is up/,
  [SCRIPTS]: /computes once a process, not once in all/,
};

module.exports = { PROFILES, CONSEQUENCES, SCRIPTS };
