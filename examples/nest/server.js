// A shop: `/products/ID` comes from a method with `@Cached()`, `/report` by Nest's own CacheInterceptor, `/sales` by
// `wrap`. All go on while Redis is stopped. `REDIS_URL` names the Redis; without it all is in memory.
//
// JavaScript has no decorators yet, so they are called as functions; docs/adapters/nest.md has the same in TypeScript.
'use strict';

require('reflect-metadata');
const { CACHE_MANAGER, CacheInterceptor, CacheTTL } = require('@nestjs/cache-manager');
const { Controller, Get, Inject, Injectable, Module, Param, UseInterceptors } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { Cached, HoldfastCache, HoldfastModule } = require('holdfast/nest');

/** Puts decorators on a method, as `@A() @B() name() {}` would. */
function decorate({ prototype }, name, ...decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  for (const decorator of decorators.reverse()) decorator(prototype, name, descriptor);
  Object.defineProperty(prototype, name, descriptor);
}

class Products {
  async find(id) {
    return { id, price: 10, made: new Date().toISOString() };
  }
}
Injectable()(Products);
decorate(Products, 'find', Cached({ ttl: 10, swr: 60, grace: 3600, tags: (id) => [`product:${id}`] }));

class Shop {
  constructor(products, cache, manager) {
    Object.assign(this, { products, cache, manager });
  }

  product(id) {
    return this.products.find(id);
  }

  report() {
    return { made: new Date().toISOString() };
  }

  sales() {
    return this.manager.wrap('sales', async () => ({ made: new Date().toISOString() }), { ttl: 10_000, grace: 60_000 });
  }

  health() {
    return this.cache.health();
  }
}
Controller()(Shop);
for (const [at, token] of [Products, HoldfastCache, CACHE_MANAGER].entries()) Inject(token)(Shop, undefined, at);
decorate(Shop, 'product', Get('products/:id'));
Param('id')(Shop.prototype, 'product', 0);
decorate(Shop, 'report', Get('report'), UseInterceptors(CacheInterceptor), CacheTTL(10_000));
decorate(Shop, 'sales', Get('sales'));
decorate(Shop, 'health', Get('health'));

class Application {}
Module({
  imports: [HoldfastModule.register({ namespace: 'nest-shop' })],
  controllers: [Shop],
  providers: [Products],
})(Application);

async function main() {
  const app = await NestFactory.create(Application, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(process.env.PORT ?? 3000);
  console.log(`listening on ${app.getHttpServer().address().port}`);
}

main();
