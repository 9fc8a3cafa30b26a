// A page of ISR, made when it is first asked for, and fresh for longer than any run.
import { Products } from '../../../lib/products.js';

export const revalidate = 3600;
export const generateStaticParams = () => [];

export default async function Page({ params }) {
  const { slug } = await params;
  return <Products of={`page/${slug}`} />;
}
