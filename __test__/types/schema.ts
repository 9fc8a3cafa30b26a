// Type tests of a cache with a schema, as contract.ts tests those without. Nothing here runs.

import { type Cache, type CounterOf, createCache, type get, type KeyOf, type ValueOf } from 'holdfast';

interface User {
  id: number;
  name: string;
}

interface Config {
  theme: 'dark' | 'light';
  debug?: boolean;
}

interface Schema {
  [user: `user:${number}`]: User;
  [visits: `visits:${string}`]: number;
  config: Config;
  total: number;
  maybe: string | undefined;
  readonly limits?: { readonly most: number };
}

/** Compiles only where both types are the same one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Same<A, B>): void {}

declare const cache: Cache<Schema>;
declare const user: User;
declare const id: number;
declare const ids: number[];
declare const text: string;

export function made(): Cache<Schema> {
  const named = createCache<Schema>({ namespace: 'app' });
  same<typeof named, Cache<Schema>>(true);
  same<KeyOf<Schema>, `user:${number}` | `visits:${string}` | 'config' | 'total' | 'maybe' | 'limits'>(true);
  same<ValueOf<Schema, 'user:7'>, User>(true);
  same<CounterOf<Schema>, `visits:${string}` | 'total'>(true);
  // A schema may be a type, too.
  const aliased = createCache<{ [user: `user:${number}`]: User; config: Config } & Record<`n:${number}`, number>>({
    namespace: 'app',
  });
  aliased.get('n:1') satisfies Promise<number | null>;
  aliased.get('config') satisfies Promise<Config | null>;
  // @ts-expect-error not in this one
  aliased.get('total');
  // @ts-expect-error a schema is an object
  createCache<string>({ namespace: 'app' });
  // By what is expected of it.
  return createCache({ namespace: 'app' });
}

export async function reads(): Promise<void> {
  const found = await cache.get('user:7');
  same<typeof found, User | null>(true);
  const byTemplate = await cache.get(`user:${id}`);
  same<typeof byTemplate, User | null>(true);
  const oneOfTwo = await cache.get(id > 1 ? 'config' : 'total');
  same<typeof oneOfTwo, Config | number | null>(true);
  // That a property is optional or readonly says nothing of its value.
  const limits = await cache.get('limits');
  same<typeof limits, { readonly most: number } | null>(true);
  // @ts-expect-error and this value is readonly
  (limits ?? { most: 1 }).most = 2;
  const maybe = await cache.get('maybe');
  same<typeof maybe, string | null | undefined>(true);
  // @ts-expect-error a miss is null
  found.name;
  // @ts-expect-error not in the schema
  await cache.get('confg');
  // @ts-expect-error what stands in the template is a number
  await cache.get('user:ada');
  // @ts-expect-error not any text is a key
  await cache.get(text);
  // @ts-expect-error the schema names the type
  await cache.get<User>('user:7');
  same<Awaited<ReturnType<typeof cache.exists>>, boolean>(true);
  await cache.exists('user:7');
  await cache.ttl('config');
  await cache.existsMany(['config', `user:${id}`]);
  // @ts-expect-error not in the schema
  await cache.exists('confg');
  // @ts-expect-error not in the schema
  await cache.ttl('confg');
  // @ts-expect-error not in the schema
  await cache.existsMany(['config', 'confg']);
}

export async function writes(): Promise<void> {
  await cache.set('user:7', user);
  await cache.set(`user:${id}`, user, 60);
  await cache.set('config', { theme: 'dark' }, { expiresAt: new Date(), tags: ['configs'] });
  // @ts-expect-error no user
  await cache.set('user:7', 'Ada');
  // @ts-expect-error a part is missing
  await cache.set('user:7', { id: 7 });
  // @ts-expect-error another key's value
  await cache.set('config', user);
  // @ts-expect-error a word too many
  await cache.set('config', { theme: 'dark', colour: 'red' });
  // @ts-expect-error not in the schema
  await cache.set('confg', { theme: 'dark' });
  // @ts-expect-error a value is needed
  await cache.set('config');

  same<Awaited<ReturnType<typeof cache.del>>, number>(true);
  await cache.del('config');
  await cache.del(['config', 'user:7', `visits:${text}`]);
  await cache.delMany(ids.map((each) => `user:${each}` as const));
  await cache.expire('config', 60);
  // @ts-expect-error not in the schema
  await cache.del('confg');
  // @ts-expect-error not in the schema
  await cache.del(['config', 'confg']);
  // @ts-expect-error not in the schema
  await cache.delMany(['confg']);
  // @ts-expect-error not in the schema
  await cache.expire('confg', 60);

  same<Awaited<ReturnType<typeof cache.increment>>, number>(true);
  await cache.increment('total');
  await cache.increment(`visits:${text}`, 2, { ttl: 60 });
  // @ts-expect-error no number is there
  await cache.increment('config');
  // @ts-expect-error not in the schema
  await cache.increment('totl');
}

export async function many(): Promise<void> {
  const tuple = await cache.getMany(['user:7', 'config', `visits:${text}`]);
  same<typeof tuple, [User | null, Config | null, number | null]>(true);
  const constant = ['config', 'total'] as const;
  const fromConstant = await cache.getMany(constant);
  same<typeof fromConstant, [Config | null, number | null]>(true);
  const array = await cache.getMany(ids.map((each) => `user:${each}` as const));
  same<typeof array, Array<User | null>>(true);
  const mixed: Array<'config' | 'total'> = ['config'];
  const fromMixed = await cache.getMany(mixed);
  same<typeof fromMixed, Array<Config | number | null>>(true);
  const nothing = await cache.getMany([]);
  same<typeof nothing, []>(true);
  // @ts-expect-error not in the schema
  await cache.getMany(['config', 'confg']);
  // @ts-expect-error not any text is a key
  await cache.getMany([text]);

  await cache.setMany({ 'user:7': user, config: { theme: 'dark' }, total: 1 }, 60);
  await cache.setMany([['user:7', user] as const, ['total', 1] as const]);
  await cache.setMany([
    ['config', { theme: 'light' }],
    [`visits:${text}`, 1],
  ]);
  await cache.setMany(ids.map((each) => [`user:${each}`, user] as const));
  await cache.setMany(new Map<`user:${number}`, User>());
  // @ts-expect-error no user
  await cache.setMany({ 'user:7': 5 });
  // @ts-expect-error not in the schema
  await cache.setMany({ confg: { theme: 'dark' } });
  // @ts-expect-error no user
  await cache.setMany([['user:7', 5]]);
  // @ts-expect-error another key's value
  await cache.setMany(new Map([['config', user] as const]));
  // @ts-expect-error not any text is a key
  await cache.setMany(new Map([[text, user]]));
  // @ts-expect-error a list of values has no keys
  await cache.setMany([1, 2]);
  // @ts-expect-error a Date has no entries
  await cache.setMany(new Date());
}

export async function steps(): Promise<void> {
  const taken = await cache.take('user:7');
  same<typeof taken, User | null>(true);
  const stored = await cache.setIfAbsent('total', 1, { ttl: 60, onOutage: 'reject' });
  same<typeof stored, boolean>(true);
  // @ts-expect-error no number
  await cache.setIfAbsent('total', '1');
  // @ts-expect-error not in the schema
  await cache.take('confg');
  for await (const page of cache.scan('user:*', { count: 100 })) await cache.delMany(page);
}

export async function computations(): Promise<void> {
  const computed = await cache.getOrCompute('user:7', async () => user, { ttl: 60, swr: 30 });
  same<typeof computed, User>(true);
  // What was stored may have another theme than the one computed here.
  const config = await cache.getOrCompute('config', () => ({ theme: 'dark' }));
  same<typeof config, Config>(true);
  const maybe = await cache.getOrCompute('maybe', () => undefined);
  same<typeof maybe, string | undefined>(true);
  // @ts-expect-error no theme
  await cache.getOrCompute('config', () => ({ theme: 'red' }));
  // @ts-expect-error no user
  await cache.getOrCompute('user:7', async () => 'Ada');
  // @ts-expect-error the schema does not say that there may be none
  await cache.getOrCompute('user:7', () => undefined);
  // @ts-expect-error not in the schema
  await cache.getOrCompute('confg', () => 1);

  const tuple = await cache.getOrComputeMany(['user:7', 'user:8'], (missing) => {
    same<typeof missing, Array<'user:7' | 'user:8'>>(true);
    return missing.map(() => user);
  });
  same<typeof tuple, [User, User]>(true);
  const keys = ids.map((each) => `user:${each}` as const);
  const array = await cache.getOrComputeMany(keys, async (missing) => missing.map(() => user), 60);
  same<typeof array, User[]>(true);
  // @ts-expect-error no users
  await cache.getOrComputeMany(keys, async (missing) => missing);
  // @ts-expect-error not in the schema
  await cache.getOrComputeMany(['confg'], () => [1]);
}

export async function caches(): Promise<void> {
  // What takes any cache takes this one.
  const any: Cache = cache;
  same<typeof any.get, typeof get>(true);
  const again: Cache<Schema> = any;
  const { set, increment } = again;
  await set('total', 1);
  await increment('total');
  // @ts-expect-error destructured or not
  await set('total', '1');
  // @ts-expect-error the schema of another application
  const other: Cache<{ total: string }> = cache;
  // What needs some of the keys takes it.
  const part: Cache<{ total: number; [user: `user:${number}`]: User }> = cache;
  // @ts-expect-error but not what needs more
  const whole: Cache<Schema> = part;
  // A test replaces a function, and restores it.
  const original = cache.get;
  cache.get = async () => null;
  cache.get = original;
  cache.on('ready', () => {}).once('fallback', ({ kind }) => kind.length);
  await cache.delPattern('user:*');
  void [other, whole];
}
