// Owns who is compared on the page `adapters`, and the processes of it: the stores answer to calls, the applications
// and the sites of Next.js to requests.
'use strict';

const { ask } = require('../lab/lab');
const { shoot } = require('../http/load');
const { apps } = require('./apps');
const { kindsOf, pathsOf, rendersOf, sites, startSite } = require('./sites');
const { stores } = require('./stores');

/** Callers of a store, and connections of an application. */
const CALLERS = 64;
const CONNECTIONS = 50;
/** A busy machine is no outage: nobody may be fast by giving up. Where Redis goes away, ours have their own default. */
const PATIENT = { timeoutMs: 5000 };
/** An adapter of ours finds its framework here, as where it is installed, and not beside the files of this clone. */
const ENV = { NODE_ENV: 'production', NODE_PRESERVE_SYMLINKS: '1', HOLDFAST_LOG: 'silent' };

/** What a site keeps, as the page calls it. */
const KEPT = { page: 'an ISR page', function: "a function with 'use cache'" };

/**
 * By name. `ops`: what is measured of each, as functions of its process and the seconds of a window. `paths`: what is
 * asked for in an outage, where it is more than one.
 */
const subjects = {
  ...Object.fromEntries(
    Object.entries(stores).map(([name, { family, alone }]) => [
      name,
      { name, family, alone, isStore: true, ops: { get: calling('get'), set: calling('set') } },
    ]),
  ),
  ...Object.fromEntries(Object.entries(apps).map(([name, { family }]) => [name, { name, family, ops: { request } }])),
  ...Object.fromEntries(Object.keys(sites).map((name) => [name, site(name)])),
};

/** The subjects whose framework computes what is missing, and what they are called there. */
const COMPUTING = {
  '@keyv/redis': 'cache-manager over @keyv/redis',
  'holdfast/keyv': 'cache-manager over holdfast/keyv',
  '@nestjs/cache-manager': '@nestjs/cache-manager',
  'holdfast/nest': 'holdfast/nest',
};

function site(name) {
  const kinds = kindsOf(name);
  const ops = Object.fromEntries(kinds.map((kind) => [KEPT[kind], requesting(pathsOf(kind))]));
  return { name, family: 'Next.js', alone: sites[name].alone, isSite: true, paths: kinds.flatMap(pathsOf), ops };
}

function calling(op) {
  return (child, seconds) => ask(child, { kind: 'measure', op, callers: CALLERS, seconds });
}

function request(child, seconds) {
  return shoot(child, { connections: CONNECTIONS, duration: seconds });
}

/**
 * Requests for what is kept; each connection begins at another path, as Next answers those for one at a time with one
 * read. What is rendered anew has failed: its window would be one of renderings.
 */
function requesting(paths) {
  const requests = paths.map((path) => ({ path: `/${path}` }));
  return async (child, seconds) => {
    let first = 0;
    const setupClient = (client) => {
      client.setRequests([...requests.slice(first), ...requests.slice(0, first)]);
      first = (first + Math.floor(requests.length / CONNECTIONS)) % requests.length;
    };
    const before = await rendersOf();
    const result = await shoot(child, { connections: CONNECTIONS, duration: seconds, requests, setupClient });
    return { ...result, failed: result.failed + (await rendersOf()) - before };
  };
}

/** A process of a subject; `options`: of `createCache`, for ours, other than a site's, which has its defaults. */
function startSubject(lab, { name, isStore, isSite }, options = PATIENT) {
  if (isSite) return startSite(lab, name);
  const script = require.resolve(isStore ? './store-worker' : './app-worker');
  return lab.start(script, [name, lab.url, JSON.stringify(options)], ENV);
}

module.exports = { subjects, startSubject, CALLERS, COMPUTING, CONNECTIONS };
