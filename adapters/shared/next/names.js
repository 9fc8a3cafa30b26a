// Owns the names under which keys and tags of Next reach the cache: their own, unless the cache could not carry them.
'use strict';

const { createHash } = require('node:crypto');

/** The longest tag that an entry of the cache may have; longer keys are shortened too, as Redis holds each. */
const MAX_NAME_BYTES = 1_024;

/** A text as it is, or what stands for it where it is too long or not well-formed. */
function nameOf(text) {
  if (text.isWellFormed() && Buffer.byteLength(text) <= MAX_NAME_BYTES) return text;
  return `sha256:${createHash('sha256').update(text, 'utf16le').digest('hex')}`;
}

/** The names of tags, each once. Next takes an empty tag for none. */
function namesOf(tags) {
  const texts = typeof tags === 'string' ? [tags] : (tags ?? []);
  return [...new Set(texts.filter((tag) => tag !== '').map(nameOf))];
}

module.exports = { nameOf, namesOf };
