// What all that is rendered comes from: the kit's origin, asked past Next's own `fetch`, so that each answer it gives
// is one rendering. While the site is built there is none.
import { get } from 'node:http';

export function source(name) {
  const origin = process.env.KIT_ORIGIN;
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
