// `curl -X POST localhost:3000/products/7/change` raises the price: every instance shows it from then on.
import { Suspense } from 'react';
import { product } from '../../../lib/products.js';

async function Product({ params }) {
  const { id } = await params;
  const { price, made } = await product(id);
  return <p>{`Product ${id} costs ${price}, as of ${made}`}</p>;
}

export default function Page({ params }) {
  return (
    <Suspense fallback={<p>…</p>}>
      <Product params={params} />
    </Suspense>
  );
}
