// `holdfast/nest` as applications write it, in Nest's own types.
import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { type HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { createCache } from 'holdfast';
import {
  Cached,
  type CacheManager,
  type HoldfastCache,
  type HoldfastHealthIndicator,
  HoldfastModule,
  type HoldfastOptionsFactory,
} from 'holdfast/nest';

interface Product {
  id: number;
}

@Injectable()
export class Products {
  @Inject('CACHE_MANAGER') private readonly manager!: CacheManager;

  constructor(private readonly cache: HoldfastCache) {}

  @Cached<[number]>({ ttl: 60, swr: 30, grace: 3600, tags: (id) => [`product:${id}`] })
  async find(id: number): Promise<Product> {
    return { id };
  }

  @Cached<[number]>({ key: (id) => `name:${id}` })
  async name(id: number): Promise<string> {
    const again: string | undefined = await this.manager.get<string>(`name:${id}`);
    return again ?? this.manager.wrap('name', async () => 'none', { ttl: 1000, tags: ['names'] });
  }

  async change(id: number): Promise<void> {
    await this.cache.invalidateTags([`product:${id}`]);
    const made: Product = await this.cache.getOrCompute('product', () => ({ id }), { ttl: 60 });
    await this.cache.set('last', made.id);
  }
}

@Controller()
export class Health {
  constructor(
    private readonly health: HealthCheckService,
    private readonly cache: HoldfastHealthIndicator,
  ) {}

  @Get('health')
  check() {
    return this.health.check([() => this.cache.isHealthy(), () => this.cache.isHealthy('strict', { strict: true })]);
  }
}

@Injectable()
export class Options implements HoldfastOptionsFactory {
  createHoldfastOptions() {
    return { namespace: 'shop', url: process.env.REDIS_URL ?? null };
  }
}

@Module({
  imports: [
    HoldfastModule.register(),
    HoldfastModule.register({ isGlobal: true, namespace: 'shop', ttl: 60 }),
    HoldfastModule.register({ cache: createCache({ namespace: 'own' }) }),
    HoldfastModule.registerAsync({ useClass: Options }),
    HoldfastModule.registerAsync({
      isGlobal: true,
      inject: [Options],
      useFactory: (made: Options) => made.createHoldfastOptions(),
    }),
    TerminusModule,
  ],
  controllers: [Health],
  providers: [Products],
})
export class Shop {}

// @ts-expect-error: seconds are a number
HoldfastModule.register({ ttl: '60' });
// @ts-expect-error: the module does not open what it is given
HoldfastModule.register({ cache: createCache({ namespace: 'own' }), ttl: 60 });
