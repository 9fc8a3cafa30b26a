// A form whose action ends a tag: `updateTag` is for actions alone.
import { updateTag } from 'next/cache';

async function end(form) {
  'use server';
  updateTag(form.get('tag'));
}

export default function Page() {
  return (
    <form action={end}>
      <input name="tag" />
    </form>
  );
}
