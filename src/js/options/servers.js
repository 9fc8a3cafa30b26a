// Where Redis is, as options say it: the sentinels, or the nodes of a cluster, and how they are reached. Rust checks
// hosts and ports.
'use strict';

const { misconfigured } = require('../base/errors.js');
const { isPlain, ownOf } = require('./arguments.js');

const SENTINEL_OPTIONS = ['nodes', 'name', 'username', 'password', 'tls', 'addressMap'];
const CLUSTER_OPTIONS = ['nodes', 'addressMap'];
const NODE_OPTIONS = ['host', 'port'];
const MOST_MAPPED = 1024;

/**
 * Options, each read once.
 * @param {unknown} given
 * @param {string[]} known
 * @param {string} where
 */
function optionsOf(given, known, where) {
  if (!isPlain(given)) throw misconfigured(`${where} must be a plain object`);
  return ownOf(given, known, (problem, cause) => misconfigured(`${where}: ${problem}`, cause));
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {'string' | 'boolean' | 'number'} type
 */
function typed(value, name, type) {
  if (value !== undefined && typeof value !== type) throw misconfigured(`${name} must be a ${type}`);
  return /** @type {any} */ (value);
}

/**
 * The option `sentinel`, for Rust.
 * @param {unknown} given
 */
function sentinelOption(given) {
  if (given === undefined) return undefined;
  const { nodes, name, username, password, tls, addressMap } = optionsOf(given, SENTINEL_OPTIONS, 'sentinel');
  if (typeof name !== 'string' || name === '')
    throw misconfigured('sentinel.name must be the name by which the sentinels know the primary');
  return {
    __proto__: null,
    nodes: nodesOf(nodes, 'sentinel.nodes'),
    name,
    username: typed(username, 'sentinel.username', 'string'),
    password: typed(password, 'sentinel.password', 'string'),
    tls: typed(tls, 'sentinel.tls', 'boolean'),
    addressMap: mapped(addressMap, 'sentinel.addressMap'),
  };
}

/**
 * The option `cluster`, for Rust.
 * @param {unknown} given
 */
function clusterOption(given) {
  if (given === undefined) return undefined;
  const { nodes, addressMap } = optionsOf(given, CLUSTER_OPTIONS, 'cluster');
  return {
    __proto__: null,
    nodes: nodes === undefined ? [] : nodesOf(nodes, 'cluster.nodes'),
    addressMap: mapped(addressMap, 'cluster.addressMap'),
  };
}

/**
 * Hosts, as texts.
 * @param {unknown} given
 * @param {string} where
 * @returns {string[]}
 */
function nodesOf(given, where) {
  if (!Array.isArray(given) || given.length === 0)
    throw misconfigured(`${where} must be an array of 'host:port' or { host, port }`);
  return Array.from(given, (node) => {
    if (typeof node === 'string') return node;
    const { host, port } = optionsOf(node, NODE_OPTIONS, `an entry of ${where}`);
    if (typeof host !== 'string') throw misconfigured(`an entry of ${where} has no host`);
    const literal = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
    return port === undefined ? literal : `${literal}:${typed(port, `a port of ${where}`, 'number')}`;
  });
}

/**
 * What servers say of where they are, and where that is from here, in turn.
 * @param {unknown} given
 * @param {string} where
 * @returns {string[]}
 */
function mapped(given, where) {
  if (given === undefined) return [];
  if (!isPlain(given)) throw misconfigured(`${where} must be a plain object of 'host:port' to 'host:port'`);
  const pairs = Object.entries(optionsOf(given, Object.keys(given), where));
  if (pairs.length > MOST_MAPPED) throw misconfigured(`${where} has more than ${MOST_MAPPED} entries`);
  return pairs.flatMap(([said, is]) => [said, typed(is, `${where}['…']`, 'string')]);
}

module.exports = { clusterOption, optionsOf, sentinelOption, typed };
