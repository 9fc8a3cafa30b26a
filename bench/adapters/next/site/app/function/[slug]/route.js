// A route that is run for each request, over a function that 'use cache' keeps.
import { cacheLife } from 'next/cache';
import { listOf } from '../../../lib/source.mjs';

async function products(slug) {
  'use cache';
  cacheLife({ stale: 30, revalidate: 3_600, expire: 7_200 });
  return listOf(`function/${slug}`);
}

export async function GET(_request, { params }) {
  const { slug } = await params;
  return Response.json(await products(slug));
}
