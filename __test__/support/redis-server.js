// Starts a real server for one test file: free port, temporary directory, gone when the test process is gone.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { makeFolder } = require('./folder');
const { until } = require('./until');

// A shell stands between us and the server: when this process ends in any way, its pipe closes and the shell's watcher
// kills the server, even a stopped one. Listeners of `exit` would not do: Jest gives tests a copy of `process` that
// never fires them. The pid has a pipe of its own: on the output it could stand behind, or within, what the server
// logs.
const GUARD = `
exec 4<&0
"$@" 3>&- 4<&- &
server=$!
echo "$server" >&3
exec 3>&-
(cat <&4 >/dev/null; kill -9 $server) >/dev/null 2>&1 &
watcher=$!
wait $server
kill $watcher 2>/dev/null
`;

/** The program under test: Redis or Valkey, as `HOLDFAST_TEST_SERVER` says. */
const PROGRAM = process.env.HOLDFAST_TEST_SERVER || 'redis-server';
/** Each of these servers says so where it was built without TLS. */
const WITHOUT_TLS = /TLS support|type tls|tls-port/;

class RedisServer {
  #options;
  #folder;
  #file;
  #guard = null;
  #program = PROGRAM;
  #log = '';

  constructor(options) {
    this.#options = options;
    this.host = options.bind ?? '127.0.0.1';
    this.password = options.password ?? null;
    this.tls = options.tls ?? null;
    /** False once `kill` has ended or stopped it, until it is started again or continued. */
    this.running = false;
  }

  /** `redis://` or `rediss://` with these credentials, by default the password of the server. */
  url({ user = '', password = this.password, db = '', host = this.host, port = this.port } = {}) {
    const auth = password === null ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
    return `${this.tls ? 'rediss' : 'redis'}://${auth}${host.includes(':') ? `[${host}]` : host}:${port}/${db}`;
  }

  async start() {
    this.#folder = makeFolder('redis');
    this.dir = this.#folder.dir;
    this.socket = path.join(this.dir, 'redis.sock');
    const { port, pickPort = freePort } = this.#options;
    // Another process can take the free port before the server does; then the next one is tried.
    for (let attempt = 1; ; attempt++) {
      this.port = port ?? (await pickPort(this.host));
      this.#configure();
      if (await this.#launch()) return this;
      if (attempt === 5) throw new Error(`${this.#program} does not start:\n${this.#log}`);
      // TLS is ours to test, not the server's: any that speaks it will do.
      if (this.tls && WITHOUT_TLS.test(this.#log)) this.#program = 'redis-server';
    }
  }

  /** Once for all launches: a server that is started again finds what it wrote into its file itself. */
  #configure() {
    const { config = [], acl = [], save = false } = this.#options;
    const tls = this.tls;
    const lines = [
      `bind ${this.host}`,
      ...(tls
        ? [`port 0`, `tls-port ${this.port}`, `tls-cert-file ${tls.cert}`, `tls-key-file ${tls.key}`]
        : [`port ${this.port}`]),
      ...(tls ? [`tls-ca-cert-file ${tls.ca ?? tls.cert}`, 'tls-auth-clients no'] : []),
      `unixsocket ${this.socket}`,
      `dir ${this.dir}`,
      ...(save ? [] : ['save ""']),
      ...(this.password === null ? [] : [`requirepass ${this.password}`]),
      ...acl,
      ...config,
    ];
    this.#file = path.join(this.dir, 'redis.conf');
    fs.writeFileSync(this.#file, `${lines.join('\n')}\n`);
  }

  async #launch() {
    const command = [this.#program, this.#file, ...(this.#options.args ?? [])];
    const guard = spawn('sh', ['-c', GUARD, 'sh', ...command], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    this.#guard = guard;
    this.pid = null;
    this.exited = new Promise((resolve) => guard.once('exit', () => resolve(true)));
    guard.stdin.on('error', () => {});
    this.#log = '';
    let pid = '';
    guard.stdio[3].setEncoding('utf8').on('data', (text) => {
      pid += text;
      if (pid.endsWith('\n')) this.pid = Number(pid);
    });
    for (const stream of [guard.stdout, guard.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.#log += text;
      });
    }
    let gone = false;
    this.exited.then(() => {
      gone = true;
      guard.stdin.destroy();
    });
    await until(
      async () => gone || (this.pid && /PONG|LOADING/.test(await this.cli('ping').catch(() => ''))),
      `${this.#program} answers PING`,
    );
    this.running = !gone;
    return !gone;
  }

  /** Runs one command through redis-cli on the server's unix socket; resolves to what it prints. */
  async cli(...args) {
    return redisCli(this, args);
  }

  /** Sets `key` to exactly these bytes. */
  async setBytes(key, bytes) {
    return redisCli(this, ['-x', 'set', key], bytes);
  }

  /** SIGSTOP, SIGCONT or SIGKILL; resolves for SIGKILL once the server is gone. */
  async kill(signal) {
    process.kill(this.pid, signal);
    this.running = signal === 'SIGCONT';
    if (signal === 'SIGKILL') await this.exited;
  }

  /** Ends the server where it still runs and starts it again on the same port, with the same directory. */
  async restart() {
    await this.#end();
    if (!(await this.#launch())) throw new Error(`${this.#program} does not start again:\n${this.#log}`);
  }

  async stop() {
    await this.#end();
    this.#folder.remove();
  }

  async #end() {
    this.running = false;
    this.#guard.stdin.destroy();
    await this.exited;
  }
}

function redisCli(server, args, input) {
  return new Promise((resolve, reject) => {
    const child = spawn('redis-cli', ['-s', server.socket, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...(server.password === null ? {} : { REDISCLI_AUTH: server.password }) },
      timeout: 20_000,
    });
    const out = [];
    const err = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      const text = Buffer.concat(out).toString().replace(/\n$/, '');
      if (code === 0) resolve(text);
      else reject(new Error(`redis-cli ${args.join(' ')}: ${text}${Buffer.concat(err)}`));
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Resolves to `port`, where it is free, or to any that is. */
function freePort(host, port = 0) {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once('error', reject);
    probe.listen(port, host, () => {
      const { port: found } = probe.address();
      probe.close(() => resolve(found));
    });
  });
}

/** The ports of `keptPort`; the buses of their servers have as many from 20,000 on. */
const KEPT_PORTS = { from: 10_000, count: 10_000 };
/** The bus of a node of a cluster listens at this distance from the node's port. */
const BUS_DISTANCE = 10_000;

/**
 * A free port for a server that is away for a while and comes back to it, as those of `fleet` do: the kernel gives no
 * port of this range to whoever dials or asks for any. A bus of a cluster has room beside it.
 */
async function keptPort(host) {
  const isFree = (port) =>
    freePort(host, port).then(
      () => true,
      () => false,
    );
  for (;;) {
    const port = KEPT_PORTS.from + Math.floor(Math.random() * KEPT_PORTS.count);
    if ((await isFree(port)) && (await isFree(port + BUS_DISTANCE))) return port;
  }
}

/**
 * Options: `config` (lines of redis.conf), `acl` (its `user …` lines), `tls` ({ cert, key, ca } paths), `password`,
 * `bind`, `port`, `pickPort` (`freePort` where none is named), `save` (keep the default snapshots), `args` (of the
 * program, behind its file). A unix socket is always there: `server.socket`.
 */
function startRedis(options = {}) {
  return new RedisServer(options).start();
}

/**
 * The same for all tests of a spec file, or of the `describe` that it is called in; not started before their hooks run.
 */
function serverForAll(options = {}) {
  const server = new RedisServer(options);
  beforeAll(() => server.start());
  afterAll(() => server.stop());
  return server;
}

module.exports = { RedisServer, startRedis, serverForAll, freePort, keptPort };
