// Starts the double of a provider: a real server without what the provider lacks (see profiles.js), for a user `app`
// whom its ACL restricts. `cli`, and what else asks the server directly, is restricted by nothing.
'use strict';

const { RedisServer } = require('../redis-server');
const { until } = require('../until');

/** Whom the application is. */
const USER = { user: 'app', password: 'the-password-of-app' };

/** A command that is renamed away is known to the tests by this name. */
const secretly = (command) => `hidden-${command.toLowerCase()}`;

/** The line of the ACL for the application. Servers before 7 allow subcommands one by one, and deny none of them. */
function acl({ denied = [], client = null }) {
  const rules = denied.map((command) => `-${command}`);
  if (client !== null) rules.push('-client', ...client.map((each) => `+client|${each}`));
  return `user ${USER.user} on >${USER.password} ~* &* +@all ${rules.join(' ')}`;
}

class Double extends RedisServer {
  #renamed;
  #cluster;

  /** `tls`: a certificate, where the profile wants one. */
  constructor(profile, tls = null) {
    const { config = [], renamed = [], cluster = false, selfSigned = false } = profile;
    super({
      acl: [acl(profile)],
      config: [
        ...config,
        ...renamed.map((command) => `rename-command ${command} ${secretly(command)}`),
        ...(cluster ? ['cluster-enabled yes'] : []),
      ],
      ...(selfSigned ? { tls } : {}),
    });
    this.#renamed = renamed.map((command) => command.toLowerCase());
    this.#cluster = cluster;
  }

  async start() {
    await super.start();
    if (this.#cluster) {
      const slots = Array.from({ length: 16_384 }, (_, slot) => `${slot}`);
      // Servers before 7 know no ranges.
      await this.cli('cluster', 'addslots', ...slots);
      await until(async () => (await this.cli('cluster', 'info')).startsWith('cluster_state:ok'), 'a cluster of one');
    }
    return this;
  }

  /** As the application, unless told otherwise. */
  url(parts) {
    return super.url({ ...USER, ...parts });
  }

  async cli(command, ...args) {
    const known = this.#renamed.includes(command.toLowerCase()) ? secretly(command) : command;
    return super.cli(known, ...args);
  }
}

module.exports = { Double };
