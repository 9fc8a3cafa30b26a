// Owns one application of apps.js in a process of its own, under the load of the parent.
'use strict';

const { listen, serve } = require('../lab/child');
const { stampede } = require('../lab/crowd');
const { apps } = require('./apps');

serve(async ([name, url, options]) => {
  const { server, wrap, prepare } = await apps[name].open(url, JSON.parse(options));
  const answer = await listen(server);
  await prepare?.(answer('url'));
  // Of the load over HTTP a request is one word.
  return (request) => (typeof request === 'string' ? answer(request) : stampede(wrap, request));
});
