// Owns who is compared on the page `adapters`, and the processes of it: the stores answer to calls, the applications to
// requests.
'use strict';

const { ask } = require('../lab/lab');
const { shoot } = require('../http/load');
const { apps } = require('./apps');
const { stores } = require('./stores');

/** Callers of a store, and connections of an application. */
const CALLERS = 64;
const CONNECTIONS = 50;
/** A busy machine is no outage: nobody may be fast by giving up. Where Redis goes away, ours have their own default. */
const PATIENT = { timeoutMs: 5000 };
/** An adapter of ours finds its framework here, as where it is installed, and not beside the files of this clone. */
const ENV = { NODE_ENV: 'production', NODE_PRESERVE_SYMLINKS: '1', HOLDFAST_LOG: 'silent' };

/** By name. `ops`: what is measured of each, as functions of its process and the seconds of a window. */
const subjects = {
  ...Object.fromEntries(
    Object.entries(stores).map(([name, { family, alone }]) => [
      name,
      { name, family, alone, isStore: true, ops: { get: calling('get'), set: calling('set') } },
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(apps).map(([name, { family }]) => [name, { name, family, isStore: false, ops: { request } }]),
  ),
};

/** The subjects whose framework computes what is missing, and what they are called there. */
const COMPUTING = {
  '@keyv/redis': 'cache-manager over @keyv/redis',
  'holdfast/keyv': 'cache-manager over holdfast/keyv',
  '@nestjs/cache-manager': '@nestjs/cache-manager',
  'holdfast/nest': 'holdfast/nest',
};

function calling(op) {
  return (child, seconds) => ask(child, { kind: 'measure', op, callers: CALLERS, seconds });
}

function request(child, seconds) {
  return shoot(child, { connections: CONNECTIONS, duration: seconds });
}

/** A process of a subject; `options`: of `createCache`, for ours. */
function startSubject(lab, { name, isStore }, options = PATIENT) {
  const script = require.resolve(isStore ? './store-worker' : './app-worker');
  return lab.start(script, [name, lab.url, JSON.stringify(options)], ENV);
}

module.exports = { subjects, startSubject, CALLERS, COMPUTING, CONNECTIONS };
