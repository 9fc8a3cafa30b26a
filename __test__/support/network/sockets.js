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

/** The sockets that dialled `port` and are in one of these states, as the kernel tells of them while it is read. */
function look(port, states, inodes) {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const wanted = states.map((name) => STATES[name]);
  const found = new Set();
  for (const line of fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    // Most lines are of others.
    if (!line.includes(remote)) continue;
    const fields = line.trim().split(/\s+/);
    const [from, to, state, inode] = [fields[1], fields[2], fields[3], fields[9]];
    if (to?.endsWith(remote) && wanted.includes(state) && (inodes?.has(inode) ?? true)) found.add(`${from} ${inode}`);
  }
  return found;
}

/**
 * How many sockets that dialled `port` are in one of `states`; by default, those that whoever dialled has not closed.
 * `ours`: of this process alone. Another suite on this machine may still dial a port that was its server's before.
 *
 * The table is not read at one moment: a socket that was closed, and the one that was dialled in its place, may both be
 * in it. So only those count that are there in two looks.
 */
function dialled(port, { states = OPEN, ours = false } = {}) {
  const inodes = ours ? own() : null;
  const before = look(port, states, inodes);
  return [...look(port, states, inodes)].filter((socket) => before.has(socket)).length;
}

module.exports = { dialled };
