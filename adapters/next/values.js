// Owns how the values of Next's incremental cache become records: JSON, with bytes, maps of bytes and long texts as
// parts of their own. Not by their kinds: whatever field Next adds is carried as well, as long as it is one of these.
'use strict';

/** Texts from this length on are parts: pages, which JSON would have to escape and to parse. */
const LONG_TEXT = 1_024;

/** A value as `{ head, parts }`; null, by which Next says that there is no page, is one. */
function takenApart(value) {
  const parts = [];
  const fields = {};
  const places = [];
  const add = (bytes) => parts.push(bytes) - 1;
  for (const [name, field] of Object.entries(value ?? {})) {
    if (field instanceof Uint8Array) places.push([name, 'bytes', add(field)]);
    else if (field instanceof Map) places.push([name, 'map', [...field].map(([key, bytes]) => [key, add(bytes)])]);
    else if (typeof field === 'string' && field.length >= LONG_TEXT)
      places.push([name, 'text', add(Buffer.from(field))]);
    else fields[name] = field;
  }
  return { head: { fields: value === null ? null : fields, places }, parts };
}

/** The value again. */
function putTogether({ fields, places }, parts) {
  if (fields === null) return null;
  const value = { ...fields };
  for (const [name, form, at] of places) {
    if (form === 'bytes') value[name] = parts[at];
    else if (form === 'map') value[name] = new Map(at.map(([key, place]) => [key, parts[place]]));
    else value[name] = parts[at].toString();
  }
  return value;
}

module.exports = { takenApart, putTogether };
