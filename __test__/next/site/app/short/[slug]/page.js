// A page of ISR that is due after a second.
import { source } from '../../../lib/source.mjs';

export const revalidate = 1;
export const generateStaticParams = () => [];

export default async function Page({ params }) {
  const { slug } = await params;
  return <p id="value">{await source(`short/${slug}`)}</p>;
}
