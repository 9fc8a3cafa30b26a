// Ends a tag or a path, in the way that `how` names.
import { revalidatePath, revalidateTag } from 'next/cache';

const WAYS = {
  now: (name) => revalidateTag(name, { expire: 0 }),
  softly: (name) => revalidateTag(name, 'max'),
  path: (name) => revalidatePath(name),
};

export async function POST(request) {
  const { searchParams } = new URL(request.url);
  WAYS[searchParams.get('how')](searchParams.get('name'));
  return new Response('ended');
}
