// What the tests of the kit share: one build, two instances, the Redis between them, and what they ask for.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { startOrigin } from './origin.mjs';
import { build, copySite, startInstance } from './site.mjs';

const require = createRequire(import.meta.url);
const { freePort, keptPort, startRedis } = require('../../support/redis-server.js');
export const { until } = require('../../support/until.js');

/** What the site keeps: by `cacheHandler` the first three, by `cacheHandlers` the others. */
export const KINDS = ['isr', 'route', 'fetch', 'cached', 'remote', 'stream'];

class Stage {
  #slugs = 0;

  async open() {
    this.nowhere = `redis://127.0.0.1:${await freePort('127.0.0.1')}`;
    this.built = await build(this.nowhere);
    this.origin = await startOrigin();
    this.redis = await startRedis({ pickPort: keptPort });
    this.instances = [];
    this.one = await this.start();
    this.copy = copySite();
    this.two = await this.start({ dir: this.copy.dir });
    return this;
  }

  /** Starts a further instance, stopped with the stage. */
  async start(options = {}) {
    const instance = await startInstance({ redisUrl: this.redis.url(), origin: this.origin.url, ...options });
    this.instances.push(instance);
    return instance;
  }

  async close() {
    await Promise.all((this.instances ?? []).map((instance) => instance.stop()));
    this.copy?.remove();
    this.origin?.close();
    await this.redis?.stop();
  }

  /** A name that nobody has asked for yet. */
  slug() {
    this.#slugs++;
    return `s${this.#slugs}`;
  }

  /** What an instance shows at a path; every answer has to be one. */
  async value(instance, path) {
    const { status, value } = await instance.ask(path);
    assert.equal(status, 200, `${path}:\n${instance.output()}`);
    assert.ok(value, `${path} shows nothing`);
    return value;
  }

  /** The value of a path once an instance keeps it: what it shows twice in a row. */
  async kept(instance, path) {
    let last;
    return until(async () => {
      const value = await this.value(instance, path);
      const isKept = value === last;
      last = value;
      return isKept && value;
    }, `${path} is kept`);
  }

  /** Waits until an instance shows another value than `old`, and gives it. */
  async changed(instance, path, old) {
    return until(async () => {
      const value = await this.value(instance, path);
      return value !== old && value;
    }, `${path} shows another value than ${old}`);
  }

  /** Ends a tag or a path by an instance: `now`, `softly`, or a `path`. Gives the status of the answer. */
  async end(instance, how, name) {
    const query = new URLSearchParams({ how, name });
    return (await instance.ask(`/end?${query}`, { method: 'POST' })).status;
  }

  /** Ends a tag by `updateTag`: the form of the page of actions, sent as a browser without scripts sends it. */
  async act(instance, tag) {
    const { bytes } = await instance.ask('/actions');
    const id = /name="(\$ACTION_ID_[^"]+)"/.exec(bytes.toString())?.[1];
    assert.ok(id, 'the page has a form with an action');
    const body = new FormData();
    body.set(id, '');
    body.set('tag', tag);
    return (await instance.ask('/actions', { method: 'POST', body, headers: { origin: instance.url } })).status;
  }
}

export const openStage = () => new Stage().open();
