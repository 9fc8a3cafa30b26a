// What 'use cache' keeps: a value each, by a handler for `default`, one for `remote`, and one that is soon due.
import { cacheLife, cacheTag } from 'next/cache';
import { source } from './source.mjs';

export async function cached(slug) {
  'use cache';
  cacheTag(slug);
  cacheLife({ stale: 30, revalidate: 900, expire: 3_600 });
  return source(`cached/${slug}`);
}

export async function remote(slug) {
  'use cache: remote';
  cacheTag(slug);
  cacheLife({ stale: 30, revalidate: 900, expire: 3_600 });
  return source(`remote/${slug}`);
}

export async function brief(slug) {
  'use cache';
  cacheTag(slug);
  cacheLife({ stale: 0, revalidate: 1, expire: 3_600 });
  return source(`brief/${slug}`);
}
