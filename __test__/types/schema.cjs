// A cache with a schema in an application in JavaScript, as an editor checks it: the schema is a type in a comment.
'use strict';

const { createCache } = require('holdfast');

/** @typedef {{ id: number, name: string }} User */
/** @typedef {{ [user: `user:${number}`]: User, total: number }} Schema */

/** @type {import('holdfast').Cache<Schema>} */
const cache = createCache({ namespace: 'app' });

/**
 * @param {number} id
 * @returns {Promise<string | undefined>}
 */
async function nameOf(id) {
  const user = await cache.get(`user:${id}`);
  // @ts-expect-error a miss is null
  user.name;
  return user?.name;
}

cache.set('user:7', { id: 7, name: 'Ada' });
cache.increment('total');
// @ts-expect-error no user
cache.set('user:7', 'Ada');
// @ts-expect-error not in the schema
cache.get('totl');
// @ts-expect-error no number is there
cache.increment('user:7');

module.exports = { nameOf };
