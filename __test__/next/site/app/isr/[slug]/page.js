// A page of ISR, made on demand, whose tag is that of what it shows.
import { unstable_cache } from 'next/cache';
import { source } from '../../../lib/source.mjs';

export const revalidate = 3600;
export const generateStaticParams = () => [];

export default async function Page({ params }) {
  const { slug } = await params;
  const value = unstable_cache(() => source(`isr/${slug}`), ['isr', slug], { tags: [slug], revalidate: 3_600 });
  return <p id="value">{await value()}</p>;
}
