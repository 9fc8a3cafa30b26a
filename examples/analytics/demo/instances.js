// Owns the processes that the demo starts: instances of the application, asked and told through their IPC channel.
'use strict';

const { EventEmitter, once } = require('node:events');
const { fork } = require('node:child_process');
const path = require('node:path');

/** One instance. Emits `fallback` and `recovered` with the time, as its cache does. */
class Instance extends EventEmitter {
  #child;
  #waiting = new Map();
  #asked = 0;

  constructor(name, file, env) {
    super();
    this.name = name;
    this.#child = fork(path.join(__dirname, 'instance.js'), [file], { env });
    this.#child.on('message', (message) => this.#told(message));
    this.#child.on('exit', (code, signal) => this.#ended(`instance ${name} ended (${signal ?? `exit ${code}`})`));
  }

  async listening() {
    [this.port] = await once(this, 'listening');
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  /** Resolves to the answer of `demo/instance.js`. */
  ask(ask) {
    return new Promise((resolve, reject) => {
      const id = ++this.#asked;
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, ask });
    });
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.removeAllListeners('exit');
    this.#child.disconnect();
    await once(this.#child, 'exit');
  }

  #told({ id, answer, event, at, port }) {
    if (event) return this.emit(event, port ?? at);
    this.#waiting.get(id).resolve(answer);
    this.#waiting.delete(id);
  }

  #ended(message) {
    const error = new Error(message);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.emit('error', error);
  }
}

/** Starts the instances A and B over the same file and the same cache. */
function startInstances(file, env) {
  return Promise.all(['A', 'B'].map((name) => new Instance(name, file, env).listening()));
}

module.exports = { startInstances };
