// The same page, due after a second.
import { Products } from '../../../lib/products.js';

export const revalidate = 1;
export const generateStaticParams = () => [];

export default async function Page({ params }) {
  const { slug } = await params;
  return <Products of={`due/${slug}`} />;
}
