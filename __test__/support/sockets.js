// What the kernel says of the connections of this machine: at once, and without asking either of their ends.
'use strict';

const fs = require('node:fs');

/** States of /proc/net/tcp, by the names that `netstat` gives them. */
const STATES = { ESTABLISHED: '01', SYN_SENT: '02', CLOSE_WAIT: '08' };
const OPEN = Object.keys(STATES);

/**
 * How many sockets that dialled `port` are in one of `states`; by default, those that whoever dialled has not closed.
 */
function dialled(port, states = OPEN) {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const wanted = states.map((name) => STATES[name]);
  let count = 0;
  for (const line of fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    // Most lines are of others.
    if (!line.includes(remote)) continue;
    const [, , to, state] = line.trim().split(/\s+/);
    if (to?.endsWith(remote) && wanted.includes(state)) count++;
  }
  return count;
}

module.exports = { dialled };
