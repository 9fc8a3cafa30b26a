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
"$1" "$2" 3>&- 4<&- &
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
  #guard = null;
  #program = PROGRAM;
  #log = '';

  constructor(options) {
    this.#options = options;
    this.host = options.bind ?? '127.0.0.1';
    this.password = options.password ?? null;
    this.tls = options.tls ?? null;
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
    // Another process can take the free port before the server does; then the next one is tried.
    for (let attempt = 1; ; attempt++) {
      this.port = this.#options.port ?? (await freePort(this.host));
      if (await this.#launch()) return this;
      if (attempt === 5) throw new Error(`${this.#program} does not start:\n${this.#log}`);
      // TLS is ours to test, not the server's: any that speaks it will do.
      if (this.tls && WITHOUT_TLS.test(this.#log)) this.#program = 'redis-server';
    }
  }

  async #launch() {
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
    const file = path.join(this.dir, 'redis.conf');
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
    const guard = spawn('sh', ['-c', GUARD, 'sh', this.#program, file], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
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
    return until(
      async () => gone || (this.pid && /PONG|LOADING/.test(await this.cli('ping').catch(() => ''))),
      `${this.#program} answers PING`,
    ).then(() => !gone);
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

function freePort(host) {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once('error', reject);
    probe.listen(0, host, () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/**
 * Options: `config` (lines of redis.conf), `acl` (its `user …` lines), `tls` ({ cert, key, ca } paths), `password`,
 * `bind`, `port`, `save` (keep the default snapshots). A unix socket is always there: `server.socket`.
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

module.exports = { startRedis, serverForAll, freePort };
