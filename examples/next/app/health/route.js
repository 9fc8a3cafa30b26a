import handler from 'holdfast/next-use-cache';
import { connection } from 'next/server';

export async function GET() {
  await connection(); // for each request, and not once while the application is built
  return Response.json(handler.cache.health());
}
