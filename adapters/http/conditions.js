// Conditional requests (RFC 9110, 13): the validators of a response, and whether the client has it already.
'use strict';

const { createHash } = require('node:crypto');

/** The fields that make a request conditional. The handler must not see them: its 304 could not be stored. */
const CONDITIONS = ['if-none-match', 'if-modified-since'];
/** Those of a 304 that say nothing of the body that it does not have (15.4.5). */
const OF_THE_BODY = ['content-type', 'content-length', 'content-encoding', 'content-language', 'transfer-encoding'];

/** An entity tag of bytes; weak, as what stands in front may compress them. */
const etagOf = (body) => `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;

const opaque = (tag) => tag.trim().replace(/^W\//, '');

/** Tags are compared weakly, and stand between quotation marks, where a comma is a character like others (8.8.3). */
function matches(field, etag) {
  if (field.trim() === '*') return true;
  if (etag === undefined) return false;
  return (field.match(/(?:W\/)?"[^"]*"/g) ?? []).some((tag) => opaque(tag) === opaque(etag));
}

/**
 * The conditions of a request, read before they are taken from it.
 * @param {{ header(name: string): string | undefined }} request
 */
function conditionsOf(request) {
  const [noneMatch, modifiedSince] = CONDITIONS.map((name) => request.header(name));
  return { noneMatch, modifiedSince };
}

/**
 * Whether a 304 answers a request with these conditions (13.2.2): a date counts only where there is no list of tags.
 * @param {{ noneMatch?: string, modifiedSince?: string }} conditions
 * @param {number} status
 * @param {Record<string, any>} headers
 */
function isNotModified({ noneMatch, modifiedSince }, status, headers) {
  if (status !== 200) return false;
  if (noneMatch !== undefined) return matches(noneMatch, headers.etag);
  if (modifiedSince === undefined) return false;
  // A date that does not parse is NaN, and greater than none.
  return Date.parse(headers['last-modified']) <= Date.parse(modifiedSince);
}

module.exports = { CONDITIONS, OF_THE_BODY, conditionsOf, etagOf, isNotModified };
