// Owns the network between one process and the server: it loses, cuts, and delivers late, even the bytes of a
// connection that its sender gave up.
//
// Unlike the proxy of the tests (__test__/support/network/fault-proxy.js), which forgets what it holds when an end
// hangs up: a command that reaches the server after its client has long gone on is what the recovery must withstand.
'use strict';

const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');

class Link {
  constructor(client, server, held) {
    this.ends = [client, server];
    this.held = held;
    this.deaf = false;
    /** How long each chunk of a reply takes. */
    this.lagMs = 0;
    this.lagging = Promise.resolve();
    this.behind = 0;
    /** @type {((reply: Buffer) => Buffer) | null} what becomes of a reply on its way */
    this.twist = null;
    /** @type {[net.Socket, Buffer | null][]} null stands for the end of a stream */
    this.late = [];
    this.#join(client, server);
    this.#join(server, client);
  }

  #join(from, to) {
    let ended = false;
    const end = () => {
      if (!ended) this.#pass(to, null);
      ended = true;
    };
    from.on('data', (chunk) => this.#pass(to, chunk));
    from.on('error', () => {});
    from.once('end', end);
    from.once('close', end);
  }

  #pass(to, bytes) {
    const chunk = to === this.ends[0] && bytes !== null && this.twist ? this.twist(bytes) : bytes;
    if (to === this.ends[0] && (this.lagMs > 0 || this.behind > 0)) this.#delay(to, chunk);
    else this.#deliver(to, chunk);
  }

  /** Behind those that are late already. */
  #delay(to, chunk) {
    const due = performance.now() + this.lagMs;
    this.behind++;
    this.lagging = this.lagging
      .then(() => sleep(Math.max(0, due - performance.now())))
      .then(() => {
        this.behind--;
        this.#deliver(to, chunk);
      });
  }

  #deliver(to, chunk) {
    if (this.held) this.late.push([to, chunk]);
    else this.#send(to, chunk);
  }

  #send(to, chunk) {
    if (to.destroyed || (this.deaf && to === this.ends[0] && chunk !== null)) return;
    if (chunk === null) to.end();
    else to.write(chunk);
  }

  release() {
    this.held = false;
    for (const [to, chunk] of this.late.splice(0)) this.#send(to, chunk);
  }

  cut() {
    for (const end of this.ends) end.resetAndDestroy();
  }
}

class Network {
  #links = new Set();
  #holdsNew = false;
  #lagMs = 0;
  #twist = null;
  #at;

  /** @param {{ host?: string, port?: number }} at where it listens: by default on a port of its own */
  constructor(target, { host = '127.0.0.1', port = 0 } = {}) {
    this.target = target;
    this.#at = { host, port };
    /** @type {bigint[]} when a connection was made, by the clock that all processes share */
    this.opened = [];
    this.server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      const server = net.connect({ ...target, noDelay: true, allowHalfOpen: true });
      const link = new Link(client, server, this.#holdsNew);
      link.lagMs = this.#lagMs;
      link.twist = this.#twist;
      this.opened.push(process.hrtime.bigint());
      this.#links.add(link);
      server.once('close', () => {
        this.#links.delete(link);
        client.destroy();
      });
    });
  }

  async listen() {
    const { host, port } = this.#at;
    await new Promise((resolve, reject) => this.server.once('error', reject).listen(port, host, resolve));
    this.place = `${host}:${this.server.address().port}`;
    return this;
  }

  /** Nothing passes, on the connections that there are; those that are made from now on are well, unless `all`. */
  hold(all) {
    this.#holdsNew = all;
    for (const link of this.#links) link.held = true;
  }

  /** Delivers what was held. */
  release() {
    this.#holdsNew = false;
    for (const link of this.#links) link.release();
  }

  /** From now on each chunk of a reply takes so long. */
  lag(ms) {
    this.#lagMs = ms;
    for (const link of this.#links) link.lagMs = ms;
  }

  /** By which addresses the server knows the connections that there are. */
  addresses() {
    return [...this.#links].map(({ ends: [, { localAddress, localPort }] }) => `${localAddress}:${localPort}`);
  }

  /** From now on this becomes of each chunk of a reply; null: nothing. */
  twist(change) {
    this.#twist = change;
    for (const link of this.#links) link.twist = change;
  }

  /** The connections that there are never hear a reply again. */
  deafen() {
    for (const link of this.#links) link.deaf = true;
  }

  cut() {
    for (const link of this.#links) link.cut();
  }

  stop() {
    this.server.close();
    this.cut();
  }
}

/** All that lies between a process and its servers, as one network. */
class Networks {
  constructor(parts) {
    /** @type {Network[]} */
    this.parts = parts;
  }

  hold(all) {
    for (const part of this.parts) part.hold(all);
  }

  release() {
    for (const part of this.parts) part.release();
  }

  lag(ms) {
    for (const part of this.parts) part.lag(ms);
  }

  deafen() {
    for (const part of this.parts) part.deafen();
  }

  cut() {
    for (const part of this.parts) part.cut();
  }

  stop() {
    for (const part of this.parts) part.stop();
  }
}

module.exports = { Network, Networks };
