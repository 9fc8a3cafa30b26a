// A page that streams a large part, which 'use cache' keeps.
import { cacheLife, cacheTag } from 'next/cache';
import { Suspense } from 'react';
import { source } from '../../../lib/source.mjs';

export const dynamic = 'force-dynamic';
const LINES = 3_000;

async function Large({ slug }) {
  'use cache';
  cacheTag(slug);
  cacheLife({ stale: 30, revalidate: 900, expire: 3_600 });
  const value = await source(`stream/${slug}`);
  return (
    <>
      <p id="value">{value}</p>
      <ul>
        {Array.from({ length: LINES }, (_, at) => (
          <li key={at}>{`${at} ☃ of ${value}`}</li>
        ))}
      </ul>
    </>
  );
}

export default async function Page({ params }) {
  const { slug } = await params;
  return (
    <Suspense fallback={<p>wait</p>}>
      <Large slug={slug} />
    </Suspense>
  );
}
