// A route that is made for each request, of a fetch that is kept.
export async function GET(_request, { params }) {
  const { slug } = await params;
  const response = await fetch(`${process.env.KIT_ORIGIN}/fetch/${slug}`, {
    next: { tags: [slug], revalidate: 3_600 },
  });
  return new Response(await response.text());
}
