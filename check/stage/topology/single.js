// Owns the topology of one server: each process has a network to it.
'use strict';

const { startRedis } = require('../../../__test__/support/redis-server');
const { Network, Networks } = require('../network');
const { Servers } = require('./servers');

class Single extends Servers {
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
