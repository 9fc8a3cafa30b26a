// Owns the application's cache: one line in place of a hand-written redis.js.
module.exports = require('holdfast');
