// What the kernel says of the connections of this machine: at once, and without asking either of their ends.
'use strict';

const fs = require('node:fs');

/** States of /proc/net/tcp, by the names that `netstat` gives them. */
const STATES = { ESTABLISHED: '01', SYN_SENT: '02', CLOSE_WAIT: '08' };
const OPEN = Object.keys(STATES);

/** The inodes of this process' sockets. */
function own() {
  const inodes = new Set();
  for (const fd of fs.readdirSync('/proc/self/fd')) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // It was closed meanwhile.
    }
  }
  return inodes;
}

/**
 * How many sockets that dialled `port` are in one of `states`; by default, those that whoever dialled has not closed.
 * `ours`: of this process alone. Another suite on this machine may still dial a port that was its server's before.
 */
function dialled(port, { states = OPEN, ours = false } = {}) {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const wanted = states.map((name) => STATES[name]);
  const inodes = ours ? own() : null;
  let count = 0;
  for (const line of fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    // Most lines are of others.
    if (!line.includes(remote)) continue;
    const fields = line.trim().split(/\s+/);
    const [to, state, inode] = [fields[2], fields[3], fields[9]];
    if (to?.endsWith(remote) && wanted.includes(state) && (inodes?.has(inode) ?? true)) count++;
  }
  return count;
}

module.exports = { dialled };
