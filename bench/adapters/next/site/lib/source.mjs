// What all that is rendered comes from: the benchmark's origin, asked past Next's own `fetch`, so that each answer it
// gives is one rendering. While the site is built there is none.
import { get } from 'node:http';

/** Products of a page: enough that it has some 30 KB, as pages have. */
const PRODUCTS = 100;

function answerOf(name) {
  const origin = process.env.BENCH_ORIGIN;
  if (!origin) return 'built';
  return new Promise((resolve, reject) => {
    const request = get(`${origin}/${name}`, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    request.on('error', reject);
  });
}

export async function listOf(name) {
  const answer = await answerOf(name);
  return Array.from({ length: PRODUCTS }, (_, id) => ({ id, name: `Product ${id} of ${answer}`, price: id * 7 + 0.5 }));
}
