// holdfast/prometheus: the counters of caches as metrics of prom-client. The documentation is in index.d.ts.
'use strict';

const { Watched, invalid, memberOf } = require('../shared/telemetry/watched.js');
const { familiesOf } = require('./families.js');

const PREFIX = /^[A-Za-z_:][\w:]*$/;

/** Metrics of one prefix in one registry, of all caches that are registered there. */
class Exporter {
  watched = new Watched();
  #registry;
  /** Each with the name that it has in the registry: the one of the family may change. */
  #families;

  constructor(registry, prefix) {
    this.#registry = registry;
    this.#families = familiesOf(prefix, this.watched).map((family) => [family.name, family]);
  }

  /** False where the registry has been cleared since. */
  get isRegistered() {
    return this.#families.every(([name, family]) => this.#registry.getSingleMetric(name) === family);
  }

  enter() {
    const taken = this.#families.find(([name]) => this.#registry.getSingleMetric(name) !== undefined);
    if (taken !== undefined) {
      throw invalid(`the registry has a metric ${taken[0]} of its own: choose another prefix`);
    }
    for (const [, family] of this.#families) this.#registry.registerMetric(family);
  }

  /** Takes away what is its own: after `clear()` another metric may have a name. */
  leave() {
    for (const [name, family] of this.#families) {
      if (this.#registry.getSingleMetric(name) === family) this.#registry.removeSingleMetric(name);
    }
  }
}

/** @type {WeakMap<object, Map<string, Exporter>>} by registry, and by prefix */
const exporters = new WeakMap();

/** The exporter of a prefix in a registry, which it enters with its first cache. */
function exporterOf(registry, prefix) {
  const prefixes = exporters.get(registry) ?? new Map();
  exporters.set(registry, prefixes);
  const known = prefixes.get(prefix);
  if (known?.isRegistered) return known;
  const exporter = new Exporter(registry, prefix);
  exporter.enter();
  prefixes.set(prefix, exporter);
  return exporter;
}

/** @param {Record<string, any>} [options] */
function register(options = {}) {
  const member = memberOf(options, ['prefix', 'registry']);
  const { prefix = 'holdfast_' } = options;
  if (typeof prefix !== 'string' || !PREFIX.test(prefix)) {
    throw invalid('prefix must be the beginning of the name of a metric, as holdfast_');
  }
  // Only now: an application that has a registry of its own need not have prom-client where this package finds it.
  const registry = options.registry ?? require('prom-client').register;
  if (typeof registry?.registerMetric !== 'function') throw invalid('registry must be a Registry of prom-client');
  const exporter = exporterOf(registry, prefix);
  exporter.watched.add(member);
  return {
    unregister() {
      exporter.watched.remove(member);
      if (exporter.watched.isEmpty) exporter.leave();
    },
  };
}

module.exports = { register };
