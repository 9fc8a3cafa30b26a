// The one line that an application in JavaScript writes, and its use elsewhere, as an editor checks it.
'use strict';

const redis = require('holdfast');

/** @returns {Promise<number>} */
const cents = () => redis.getOrCompute('price', async () => 199, 60);
// @ts-expect-error a key is a string
redis.get(1);

module.exports = { redis, cents };
