// A route that is kept, with bytes that are no text.
import { unstable_cache } from 'next/cache';
import { source } from '../../../lib/source.mjs';

export const dynamic = 'force-static';
export const revalidate = 3600;
export const generateStaticParams = () => [];

export async function GET(_request, { params }) {
  const { slug } = await params;
  const value = unstable_cache(() => source(`route/${slug}`), ['route', slug], { tags: [slug], revalidate: 3_600 });
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => 255 - at);
  return new Response(Buffer.concat([bytes, Buffer.from(await value())]), { headers: { 'x-kind': 'bytes' } });
}
