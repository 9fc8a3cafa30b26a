// `REDIS_URL=redis://localhost npm start`, twice, with two values of `PORT`: both show the same products.
export default function Page() {
  return (
    <ul>
      {['7', '8'].map((id) => (
        <li key={id}>
          <a href={`/products/${id}`}>Product {id}</a>
        </li>
      ))}
    </ul>
  );
}
