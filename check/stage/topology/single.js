// Owns the topology of one server: each process has a network to it.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { startRedis } = require('../../../__test__/support/redis-server');
const { Network, Networks } = require('../network');
const { Servers } = require('./servers');

/** A call that found no server is made anew so much later. */
const AGAIN_MS = 20;

class Single extends Servers {
  #now = () => 0;

  /** @param {string[]} processes */
  static async start(processes) {
    const redis = await startRedis({ config: ['hz 100'] });
    const single = new Single([[redis]]);
    for (const process of processes) {
      const network = await new Network({ host: redis.host, port: redis.port }).listen();
      single.networks[process] = new Networks([network]);
    }
    return single;
  }

  /** How a cache finds its server; `user`: as whom, where not as everybody. */
  optionsOf(process, user) {
    const [{ place }] = this.networks[process].parts;
    return { url: `redis://${user ? `${user.name}:${user.password}@` : ''}${place}` };
  }

  async killClients() {
    await this.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => {});
  }

  /** Nobody was there to execute it. */
  async turns({ message }) {
    if (!/ECONNREFUSED|ENOENT/.test(message)) return false;
    await sleep(AGAIN_MS);
    return true;
  }

  async prepare(_plan, _namespace, now) {
    this.#now = now;
    this.restarts = [];
  }

  faults = {
    /** The server's process ends, and another one begins: with nothing, or with what was in its file. */
    restart: async (_pool, { keeps, ms, for: away }) => {
      const [server] = this.firsts;
      let snapshot = null;
      if (keeps) {
        const from = this.#now();
        await this.command('SAVE');
        snapshot = [from, this.#now()];
        await sleep(ms);
      } else fs.rmSync(path.join(server.dir, 'dump.rdb'), { force: true });
      const down = this.#now();
      await server.kill('SIGKILL');
      await sleep(away);
      await server.restart();
      this.restarts.push({ down, up: this.#now(), snapshot });
    },
  };

  /** Nothing but its only server can be asked, and nothing takes its place. */
  async begin() {}

  story() {
    return undefined;
  }

  async stop() {
    await super.stop();
    await this.firsts[0].stop();
  }
}

module.exports = { Single };
