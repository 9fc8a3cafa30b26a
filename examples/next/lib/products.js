// A shop's products. Each is read once in all instances, until its tag ends or its time is over.
import { cacheLife, cacheTag } from 'next/cache';

const prices = new Map([
  ['7', 10],
  ['8', 20],
]);

export async function product(id) {
  'use cache';
  cacheTag(`product:${id}`);
  cacheLife('minutes');
  return { id, price: prices.get(id) ?? 0, made: new Date().toISOString() };
}

export function raise(id) {
  prices.set(id, (prices.get(id) ?? 0) + 1);
}
