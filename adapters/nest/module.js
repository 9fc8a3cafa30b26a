// The module: opens the cache, provides it in its three forms, and closes it with the application.
'use strict';

const { Inject, Injectable, Module } = require('@nestjs/common');
const { HoldfastError, createCache } = require('../../src/js/index.js');
const { HoldfastHealthIndicator } = require('./health.js');
const { CacheManager } = require('./manager.js');
const { CACHE_MANAGER, HoldfastCache, OPENED, OPTIONS } = require('./tokens.js');

const invalid = (message) => new HoldfastError('ERR_INVALID_ARGUMENT', message);

/** @param {Record<string, any>} [options] */
function open({ cache, ...options } = {}) {
  if (cache === undefined) return { cache: createCache({ namespace: 'nest', ...options }), isOwn: true };
  if (typeof cache?.getOrCompute !== 'function') throw invalid('cache must be a cache of Holdfast');
  if (Object.keys(options).length > 0) throw invalid('beside cache there are no options for opening one');
  return { cache, isOwn: false };
}

/** Closes what was opened here, once the application serves nobody any more. */
class Lifecycle {
  /** @param {{ cache: any, isOwn: boolean }} opened */
  constructor(opened) {
    this.opened = opened;
  }

  async onApplicationShutdown() {
    const { cache, isOwn } = this.opened;
    if (isOwn) await cache.close();
  }
}
// There is no build step: the decorators are called by hand, on classes and on parameters.
Injectable()(Lifecycle);
Inject(OPENED)(Lifecycle, undefined, 0);

const PROVIDERS = [
  { provide: OPENED, useFactory: open, inject: [OPTIONS] },
  { provide: HoldfastCache, useFactory: ({ cache }) => cache, inject: [OPENED] },
  { provide: CACHE_MANAGER, useFactory: (cache) => new CacheManager(cache), inject: [HoldfastCache] },
  { provide: CacheManager, useExisting: CACHE_MANAGER },
  HoldfastHealthIndicator,
  Lifecycle,
];
const EXPORTS = [HoldfastCache, CACHE_MANAGER, CacheManager, HoldfastHealthIndicator];

/** The provider of the options, as Nest's own modules take it. */
function optionsProvider({ useFactory, useClass, useExisting, inject = [] }) {
  if (useFactory !== undefined) return { provide: OPTIONS, useFactory, inject };
  const factory = useExisting ?? useClass;
  if (factory === undefined) throw invalid('registerAsync needs useFactory, useClass or useExisting');
  return { provide: OPTIONS, useFactory: (made) => made.createHoldfastOptions(), inject: [factory] };
}

// biome-ignore lint/complexity/noStaticOnlyClass: a module of Nest is a class.
class HoldfastModule {
  static register({ isGlobal = false, ...options } = {}) {
    return HoldfastModule.#with([{ provide: OPTIONS, useValue: options }], isGlobal, []);
  }

  static registerAsync({ isGlobal = false, imports = [], extraProviders = [], ...asked }) {
    const own = asked.useClass === undefined ? [] : [asked.useClass];
    return HoldfastModule.#with([optionsProvider(asked), ...own, ...extraProviders], isGlobal, imports);
  }

  static #with(providers, global, imports) {
    return { module: HoldfastModule, global, imports, providers: [...providers, ...PROVIDERS], exports: EXPORTS };
  }
}
Module({})(HoldfastModule);

module.exports = { HoldfastModule };
