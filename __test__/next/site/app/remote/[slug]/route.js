import { remote } from '../../../lib/cached.mjs';

export async function GET(_request, { params }) {
  const { slug } = await params;
  return new Response(await remote(slug));
}
