// A TCP proxy that misbehaves on command, for live connections as for new ones.
//
// Each connection is a link of two pumps, one a direction. A pump asks the proxy's present faults for every chunk, so a
// fault can be switched while connections live. A held pump keeps its bytes, as a network does that comes back: after
// `heal()` they arrive late. Dropped bytes are gone. A stranded link is one that the network lost: neither end hears
// that the other hung up, new connections take another way, and what was sent on it may still be delivered.
'use strict';

const net = require('node:net');
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');

const NO_FAULTS = {
  hold: false, // forward nothing, in either direction; 'requests' or 'replies': in this one
  holdNew: false, // accept connections, but do not connect them to the target
  dropReplies: false,
  trickle: false, // replies travel one byte at a time
  trickleMs: 0, // so long before each of these bytes
  pieces: null, // replies travel in pieces of these lengths, taken in turn
  delayMs: 0, // before each chunk, in either direction
  replyDelayMs: 0, // before each chunk of a reply
  cutAfter: null, // destroy the link after so many further bytes of replies
  rewrite: null, // (Buffer) => Buffer, applied to each chunk of a reply
  rewriteOnce: null, // the same, to the next chunk alone
};

class FaultProxy {
  #target;
  #server;
  #links = new Set();
  #faults = { ...NO_FAULTS };
  #healed = [];

  constructor(target) {
    this.#target = target;
    /** Connections accepted and bytes forwarded since the start. */
    this.connections = 0;
    this.bytesToServer = 0;
    this.bytesToClient = 0;
  }

  async listen(port = 0) {
    this.#server = net.createServer({ noDelay: true }, (client) => this.#link(client));
    // A test that fails does not stop it, and Jest ends all the same.
    this.#server.unref();
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    this.port = this.#server.address().port;
    return this;
  }

  url(db = '') {
    return `redis://127.0.0.1:${this.port}/${db}`;
  }

  get live() {
    return this.#links.size;
  }

  /** Switches faults on, named as in NO_FAULTS above; those not named stay as they are. */
  inject(faults) {
    for (const name of Object.keys(faults)) {
      if (!(name in NO_FAULTS)) throw new Error(`no such fault: ${name}`);
    }
    Object.assign(this.#faults, faults);
    this.#release();
  }

  /** Accepts connections and forwards nothing, as behind a firewall that lost its state. */
  blackhole() {
    this.inject({ hold: true, holdNew: true });
  }

  /** Ends all faults; what was held is forwarded. */
  heal() {
    this.#faults = { ...NO_FAULTS };
    this.#release();
  }

  /** Strands every live connection; see above. */
  strand() {
    for (const link of this.#links) link.stranded = true;
  }

  /**
   * Delivers what stranded connections had sent, and then that their clients hung up; resolves once their servers know.
   */
  async deliver() {
    const links = [...this.#links].filter((link) => link.stranded);
    for (const link of links) {
      link.stranded = false;
      if (link.server.destroyed) link.end();
    }
    this.#release();
    await Promise.all(links.map((link) => link.over));
  }

  /** Says these bytes to every live client, though nobody asked. */
  say(bytes) {
    for (const link of this.#links) link.client.write(bytes);
  }

  /** Resets (RST) every live connection. */
  reset() {
    for (const link of this.#links) link.reset();
  }

  /** Refuses new connections until `accept()`; live ones stay. */
  refuse() {
    this.#server.close();
  }

  accept() {
    return this.listen(this.port);
  }

  async stop() {
    this.#server.close();
    for (const link of this.#links) link.end();
    this.heal();
  }

  async #link(client) {
    this.connections++;
    const server = new net.Socket().setNoDelay();
    const link = new Link(client, server);
    this.#links.add(link);
    link.over.then(() => {
      this.#links.delete(link);
      this.#release();
    });
    this.#pump(client, server, link, false);
    this.#pump(server, client, link, true);
    await this.#passable((faults) => faults.holdNew, link);
    if (!link.ended()) server.connect(this.#target);
  }

  /** Reads on while chunks are held: else nobody would notice that an end hung up. */
  #pump(from, to, link, reply) {
    let sent = Promise.resolve();
    from.on('data', (chunk) => {
      sent = sent.then(() => this.#forward(chunk, to, link, reply)).catch(() => to.destroy());
    });
    const hangUp = () => sent.then(() => this.#passable(() => link.stranded, link)).then(() => to.end());
    from.once('end', hangUp);
    // Closed without an end it broke.
    from.once('close', () => (link.stranded ? hangUp() : link.end()));
  }

  async #forward(chunk, to, link, reply) {
    const { delayMs, replyDelayMs } = this.#faults;
    const delay = Math.max(delayMs, reply ? replyDelayMs : 0);
    if (delay > 0) await sleep(delay);
    const way = reply ? 'replies' : 'requests';
    await this.#passable(({ hold }) => link.stranded || hold === true || hold === way, link);
    if (to.destroyed) return;
    if (reply) await this.#forwardReply(chunk, to, link);
    else {
      this.bytesToServer += chunk.length;
      to.write(chunk);
    }
  }

  async #forwardReply(chunk, client, link) {
    const faults = this.#faults;
    if (faults.dropReplies) return;
    let bytes = faults.rewrite ? faults.rewrite(chunk) : chunk;
    if (faults.rewriteOnce) {
      bytes = faults.rewriteOnce(bytes);
      faults.rewriteOnce = null;
    }
    if (faults.cutAfter !== null) {
      bytes = bytes.subarray(0, faults.cutAfter);
      faults.cutAfter -= bytes.length;
    }
    this.bytesToClient += bytes.length;
    const pieces = faults.trickle ? [1] : (faults.pieces ?? [Infinity]);
    for (let at = 0, n = 0; at < bytes.length && !link.ended(); n++) {
      const piece = bytes.subarray(at, at + pieces[n % pieces.length]);
      client.write(piece);
      at += piece.length;
      if (faults.trickle || at < bytes.length) await (faults.trickleMs > 0 ? sleep(faults.trickleMs) : turn());
    }
    if (faults.cutAfter === 0) {
      faults.cutAfter = null;
      client.end(() => link.reset());
    }
  }

  /** Resolves once `blocked` is no longer true of the present faults, or the link gone. */
  async #passable(blocked, link) {
    while (blocked(this.#faults) && !link.ended()) {
      await new Promise((resolve) => this.#healed.push(resolve));
    }
  }

  #release() {
    for (const resolve of this.#healed.splice(0)) resolve();
  }
}

/** A connection: the client's end and ours to the server. `over` resolves when both are closed. */
class Link {
  #end;

  constructor(client, server) {
    this.client = client;
    this.server = server;
    this.stranded = false;
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
    for (const end of [client, server]) end.on('error', () => {});
  }

  end() {
    for (const end of [this.client, this.server]) end.destroy();
    this.#end();
  }

  reset() {
    this.stranded = false;
    for (const end of [this.client, this.server]) {
      // A socket that has said its end already cannot be reset: Node would leave it open for ever.
      if (end.writableEnded) end.destroy();
      else end.resetAndDestroy();
    }
  }

  /** Nothing passes any more. */
  ended() {
    return !this.stranded && (this.client.destroyed || this.server.destroyed);
  }
}

/** A proxy in front of a server of `startRedis`. */
function startProxy(server) {
  return new FaultProxy({ host: server.host, port: server.port }).listen();
}

module.exports = { startProxy };
