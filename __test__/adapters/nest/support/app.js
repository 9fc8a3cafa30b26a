// An application of Nest in a process of its own, as Nest's packages are ES modules. `/runs` tells how often what is
// cached was made, `/quit` ends the application; its process then ends by itself.
//
// The decorators are called as functions: the tests have no build step.
'use strict';

require('reflect-metadata');
const { CACHE_MANAGER, CacheInterceptor, CacheTTL } = require('@nestjs/cache-manager');
const common = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { HealthCheckService, TerminusModule } = require('@nestjs/terminus');
const { createCache } = require('holdfast');
const { Cached, CacheManager, HoldfastCache, HoldfastHealthIndicator, HoldfastModule } = require('holdfast/nest');

const [, , url, how, namespace] = process.argv;
const runs = { intercepted: 0, wrapped: 0, cached: 0, guarded: 0 };
const decorate = (target, name, ...decorators) => {
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  for (const decorator of decorators.reverse()) decorator(target, name, descriptor);
  Object.defineProperty(target, name, descriptor);
};
const parameters = (target, ...tokens) => {
  for (const [at, token] of tokens.entries()) common.Inject(token)(target, undefined, at);
};

class Products {
  async find(id, rest) {
    runs.cached++;
    return { id, by: this.constructor.name, ...rest };
  }
}
common.Injectable()(Products);
decorate(Products.prototype, 'find', Cached({ ttl: 60, tags: (id) => [`product:${id}`] }));

class Pages {
  constructor(cache, manager, sameManager, products, health, indicator) {
    Object.assign(this, { cache, manager, sameManager, products, health, indicator });
  }

  intercepted() {
    return { made: ++runs.intercepted };
  }

  nothing() {
    runs.intercepted++;
  }

  wrapped() {
    return this.manager.wrap('wrapped', async () => ({ made: ++runs.wrapped }), { ttl: 60_000, tags: ['all'] });
  }

  async cached(id) {
    return this.products.find(id, { a: 1, b: [2] });
  }

  /** A route that is a cached method: the metadata of its other decorators holds for what is in its place. */
  guarded() {
    return { made: ++runs.guarded };
  }

  check() {
    return this.health.check([() => this.indicator.isHealthy(), () => this.indicator.isHealthy('second')]);
  }

  checkStrictly() {
    return this.health.check([() => this.indicator.isHealthy('cache', { strict: true })]);
  }

  async invalidate(tag) {
    await this.cache.invalidateTags(tag);
    return {};
  }

  async mistakes() {
    const lonely = await new Products().find('7').catch(({ code }) => code);
    try {
      Cached()(Products.prototype, 'property', undefined);
    } catch ({ code }) {
      return { lonely, property: code };
    }
  }

  state() {
    return { runs, mode: this.cache.getMode(), isSame: this.manager === this.sameManager };
  }
}
common.Controller()(Pages);
parameters(Pages, HoldfastCache, CACHE_MANAGER, CacheManager, Products, HealthCheckService, HoldfastHealthIndicator);
const page = (name, path, ...more) => decorate(Pages.prototype, name, common.Get(path), ...more);
page('intercepted', 'intercepted', common.UseInterceptors(CacheInterceptor), CacheTTL(60_000));
page('nothing', 'nothing', common.UseInterceptors(CacheInterceptor));
page('wrapped', 'wrapped');
page('cached', 'cached/:id');
common.Param('id')(Pages.prototype, 'cached', 0);
page('guarded', 'guarded', Cached({ key: 'guarded', ttl: 60 }), common.Header('x-own', 'a'));
page('check', 'check');
page('checkStrictly', 'check/strictly');
page('invalidate', 'invalidate/:tag');
common.Param('tag')(Pages.prototype, 'invalidate', 0);
page('state', 'state');
page('mistakes', 'mistakes');

const options = { namespace, url, logger: null, timeoutMs: 500 };
class Options {
  createHoldfastOptions() {
    return options;
  }
}
common.Injectable()(Options);
class OptionsModule {}
common.Module({ providers: [Options], exports: [Options] })(OptionsModule);

const given = how === 'given' ? createCache(options) : undefined;
const MODULES = {
  register: () => HoldfastModule.register(options),
  global: () => HoldfastModule.register({ isGlobal: true, ...options }),
  given: () => HoldfastModule.register({ cache: given }),
  useFactory: () =>
    HoldfastModule.registerAsync({
      imports: [OptionsModule],
      inject: [Options],
      useFactory: async (made) => made.createHoldfastOptions(),
    }),
  useClass: () => HoldfastModule.registerAsync({ useClass: Options }),
  useExisting: () => HoldfastModule.registerAsync({ imports: [OptionsModule], useExisting: Options }),
};

/** With `isGlobal` the module that has the pages does not import the cache itself. */
class Shop {}
const own = how === 'global' ? [] : [MODULES[how]()];
common.Module({
  imports: [...own, TerminusModule.forRoot({ logger: false })],
  controllers: [Pages],
  providers: [Products],
})(Shop);
class Root {}
common.Module({ imports: [Shop, ...(how === 'global' ? [MODULES.global()] : [])] })(Root);

async function main() {
  const app = await NestFactory.create(Root, { logger: false, abortOnError: false });
  app.enableShutdownHooks();
  const opened = app.get(HoldfastCache, { strict: false });
  await opened.ready();
  // In front of the routes of Nest, the last of which answers whatever no other does.
  app.getHttpAdapter().get('/quit', async (_req, res) => {
    res.set('connection', 'close').end();
    await app.close();
    const isClosed = await opened.get('key').then(
      () => false,
      ({ code }) => code === 'ERR_CLOSED',
    );
    console.log(JSON.stringify({ isClosed }));
  });
  await app.listen(0, '127.0.0.1');
  console.log(`listening on ${app.getHttpServer().address().port}`);
}

main();
