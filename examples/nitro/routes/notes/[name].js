// Appends to a note, and shows it.
export default defineEventHandler(async (event) => {
  const notes = useStorage('notes');
  const name = getRouterParam(event, 'name');
  const lines = [...((await notes.getItem(name)) ?? []), new Date().toISOString()].slice(-5);
  await notes.setItem(name, lines);
  return lines;
});
