// What the server is: product, version, role, and whether it is what the URL takes it for.
'use strict';

const { isIP } = require('node:net');
const { ReplyError } = require('../../redis/connection.js');
const { literal } = require('../../redis/dial.js');
const { text } = require('../../redis/resp.js');

/** @typedef {import('../exam.js').Exam} Exam */

/** Nodes of a cluster that a mend names. */
const MOST_NODES = 6;
/** The first version with RESP3. */
const OLDEST_MAJOR = 6;

/** @type {import('../exam.js').Examination} */
const server = {
  name: 'server',
  async run(exam, deadline) {
    const { connection, report } = exam;
    const questions = [['INFO'], ['ROLE'], ['CONFIG', 'GET', 'timeout']];
    const [info, role, timeout] = await deadline.race(connection.askAll(questions));
    exam.info = lines(text(info) ?? '');
    exam.idleSeconds = seconds(timeout);
    const mode = String(text(exam.hello.get('mode')) ?? field(exam, 'redis_mode') ?? field(exam, 'server_mode') ?? '');
    if (mode === 'sentinel') {
      await sentinel(exam, deadline);
      return false;
    }
    const { product, version } = productOf(exam.hello, exam.info);
    const [kind, host, port] = Array.isArray(role) ? role.map((part) => text(part) ?? String(part)) : [];
    exam.isReplica = kind === 'slave' || kind === 'replica' || field(exam, 'role') === 'slave';
    exam.isCluster = mode === 'cluster' || field(exam, 'cluster_enabled') === '1';
    const what = `${product} ${version}, ${exam.isCluster ? "a cluster's node" : 'a single server'}`;
    report.ok('server.known', `${what}, ${exam.isReplica ? 'a replica' : 'a primary'}`, { product, version, mode });
    if (info instanceof ReplyError) {
      report.add('note', 'server.info-denied', {
        measured: `INFO is refused (${info.code || 'ERR'})`,
        why: 'what the server is set to cannot be examined here, and getStats().redis is empty',
        mend: [`ACL SETUSER ${exam.userName} +info`],
      });
    }
    if (Number.parseInt(version, 10) < OLDEST_MAJOR) {
      report.add('warning', 'server.old', {
        measured: `${product} ${version}`,
        why: 'RESP3 came with version 6: the near cache is off, and each read is a trip',
        mend: ['https://valkey.io/download   # or the newer version of your provider'],
      });
    }
    if (exam.isReplica) replica(exam, host, port);
    return cluster(exam, deadline);
  },
};

/**
 * The port of a sentinel: it holds no keys, and knows who does.
 * @param {Exam} exam
 * @param {import('../exam.js').Deadline} deadline
 */
async function sentinel(exam, deadline) {
  const { connection, report } = exam;
  const masters = await deadline.race(connection.ask('SENTINEL', 'MASTERS'));
  const names = Array.isArray(masters) ? masters.map(nameOf).filter((name) => /^[\w.-]{1,64}$/.test(name)) : [];
  const { host, port } = exam.target;
  report.add('problem', 'server.sentinel', {
    measured: `the address is that of a Sentinel, which holds no keys; it watches ${names.join(', ') || 'nothing'}`,
    why: 'the cache runs in memory mode',
    mend: [
      `REDIS_URL=redis+sentinel://USER:PASSWORD@${literal(host)}:${port}/${names[0] ?? 'NAME'}   # and the other sentinels, with commas`,
    ],
    data: { names },
  });
}

/**
 * `name` of a map, or of a list in which names and values take turns.
 * @param {any} master
 */
function nameOf(master) {
  if (master instanceof Map) return text(master.get('name')) ?? '';
  return Array.isArray(master) ? (text(master[master.findIndex((part) => text(part) === 'name') + 1]) ?? '') : '';
}

/**
 * @param {Exam} exam
 * @param {string | undefined} host of its primary
 * @param {string | undefined} port
 */
function replica({ report }, host, port) {
  const known = host !== undefined && port !== undefined;
  report.add('problem', 'server.replica', {
    measured: `the server is a replica${known ? ` of ${literal(host)}:${port}` : ''}, and takes no writes`,
    why: 'the cache runs in memory mode: it needs the primary',
    mend: [
      known
        ? `REDIS_URL=redis://USER:PASSWORD@${literal(host)}:${port}   # or a name that follows the primary`
        : 'redis-cli INFO replication   # name the primary, or a name that follows it',
    ],
  });
}

/**
 * @param {Exam} exam
 * @param {import('../exam.js').Deadline} deadline
 */
async function cluster(exam, deadline) {
  const { connection, report, target, seeds } = exam;
  const form = seeds?.form;
  if (!exam.isCluster) {
    if (form !== 'cluster') return true;
    report.add('problem', 'cluster.none', {
      measured: 'the URL names nodes of a cluster, and the server is none',
      why: 'health().lastError has the kind cluster, and the cache runs in memory mode',
      mend: [`REDIS_URL=redis://USER:PASSWORD@${literal(target.host)}:${target.port}   # one host`],
    });
    return false;
  }
  if (form === 'sentinels') {
    report.add('problem', 'cluster.behind-sentinels', {
      measured: "the sentinels named a cluster's node",
      why: 'a cluster has no sentinels: the cache runs in memory mode',
      mend: [`REDIS_URL=redis://USER:PASSWORD@${literal(target.host)}:${target.port}`],
    });
    return false;
  }
  const [info, slots] = await deadline.race(
    connection.askAll([
      ['CLUSTER', 'INFO'],
      ['CLUSTER', 'SLOTS'],
    ]),
  );
  const state = lines(text(info) ?? '');
  const nodes = primariesIn(slots, target.host);
  const data = { state: state.get('cluster_state') ?? '', nodes: nodes.length };
  if (state.get('cluster_state') === 'fail') {
    report.add('problem', 'cluster.down', {
      measured: `the cluster is down: ${state.get('cluster_slots_ok') ?? '?'} of 16384 slots are served`,
      why: 'keys of slots that nobody serves are kept in process alone',
      mend: [`redis-cli --cluster check ${literal(target.host)}:${target.port}   # and --cluster fix`],
      data,
    });
  }
  if (form === 'server' && nodes.length > 1) {
    const list = nodes.slice(0, MOST_NODES).join(',');
    // A name may be a provider's endpoint, which leads to whichever nodes there are.
    const isAddress = isIP(target.host) !== 0;
    report.add(isAddress ? 'warning' : 'note', 'cluster.one-seed', {
      measured: `the URL names one server, and it is a node of a cluster of ${nodes.length} primaries`,
      why: `the others are found from it; ${isAddress ? '' : 'unless the name leads to all of them, '}none is found while it is away at a start`,
      mend: [`REDIS_URL=${target.tls ? 'rediss' : 'redis'}://USER:PASSWORD@${list}`],
      data,
    });
  } else report.ok('cluster.seeds', `a cluster of ${nodes.length} primaries; this report is of one node`, data);
  return true;
}

/**
 * `host:port` of the primaries that CLUSTER SLOTS names.
 * @param {unknown} slots
 * @param {string} own the host of who answered, which need not name itself
 */
function primariesIn(slots, own) {
  if (!Array.isArray(slots)) return [];
  const places = slots.map((range) => {
    const [host, port] = Array.isArray(range?.[2]) ? range[2] : [];
    const name = text(host) || own;
    return name === '' || name === '?' || port === undefined ? '' : `${literal(name)}:${port}`;
  });
  return [...new Set(places)].filter((place) => place !== '');
}

/**
 * A guess by what the server says of itself; providers say little.
 * @param {Map<string, import('../../redis/resp.js').Reply>} hello
 * @param {Map<string, string>} info
 */
function productOf(hello, info) {
  /** @param {string} product @param {string} name */
  const by = (product, name) => ({ product, version: (info.get(name) ?? '').replace(/^v/, '') });
  if (info.has('dragonfly_version')) return by('Dragonfly', 'dragonfly_version');
  if (info.has('garnet_version')) return by('Garnet', 'garnet_version');
  if (info.has('valkey_version')) return by('Valkey', 'valkey_version');
  if (text(hello.get('server')) === 'valkey') return { product: 'Valkey', version: said(hello) };
  if (/keydb/i.test(info.get('executable') ?? '')) return by('KeyDB', 'redis_version');
  const { product, version } = by('Redis', 'redis_version');
  return { product, version: version || said(hello) };
}

/** @param {Map<string, import('../../redis/resp.js').Reply>} hello */
function said(hello) {
  return text(hello.get('version')) ?? 'of an unknown version';
}

/**
 * The lines `name:value` of INFO.
 * @param {string} info
 * @returns {Map<string, string>}
 */
function lines(info) {
  return new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':');
      return at < 0 || line.startsWith('#')
        ? []
        : [/** @type {[string, string]} */ ([line.slice(0, at), line.slice(at + 1)])];
    }),
  );
}

/**
 * @param {Exam} exam
 * @param {string} name
 */
function field({ info }, name) {
  return info.get(name);
}

/**
 * What CONFIG GET says of one number: a map in RESP3, a list in RESP2.
 * @param {unknown} reply
 */
function seconds(reply) {
  const value = reply instanceof Map ? reply.get('timeout') : Array.isArray(reply) ? reply[1] : undefined;
  const number = Number(text(value) ?? Number.NaN);
  return Number.isFinite(number) ? number : null;
}

module.exports = { productOf, server };
