import { revalidateTag } from 'next/cache';
import { raise } from '../../../../lib/products.js';

export async function POST(_request, { params }) {
  const { id } = await params;
  raise(id);
  revalidateTag(`product:${id}`, { expire: 0 });
  return new Response('changed\n');
}
