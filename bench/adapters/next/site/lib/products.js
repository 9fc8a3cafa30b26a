// A page of a shop: what it shows is asked of the origin once for each rendering.
import { listOf } from './source.mjs';

export async function Products({ of }) {
  return (
    <ul>
      {(await listOf(of)).map(({ id, name, price }) => (
        <li key={id}>
          <a href={`/products/${id}`}>{name}</a> <b>{price}</b>
        </li>
      ))}
    </ul>
  );
}
