// The package itself: whether the addon loads here, and whether the environment configures the cache.
'use strict';

const { version } = require('../../frame/main.js');
const { trust } = require('../../redis/roots.js');
const { flag, number } = require('../../../src/js/base/environment.js');

/** The oldest Node that the package supports: `engines` of package.json. */
const OLDEST_NODE = [20, 3];
/** As `createCache` has them: src/js/options, index.d.ts. */
const NAMESPACE = /^[A-Za-z0-9_.-]{0,64}$/;
const LONGEST_TIMEOUT_MS = 60_000;

/** @type {import('../exam.js').Examination} */
const binary = {
  name: 'binary',
  run(exam) {
    const { report } = exam;
    const [major, minor] = process.versions.node.split('.').map(Number);
    if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
      report.add('problem', 'binary.node', {
        measured: `Node ${process.versions.node}`,
        why: `the package is made for Node ${OLDEST_NODE.join('.')} and newer`,
        mend: ['nvm install --lts   # or the image of a newer Node'],
      });
    }
    load(exam);
    return configure(exam);
  },
};

/** @param {import('../exam.js').Exam} exam */
function load({ report }) {
  const platform = `${process.platform}-${process.arch}${libc()}`;
  try {
    require('../../../src/js/addon/native.js');
  } catch (error) {
    report.add('problem', 'binary.missing', {
      measured: /** @type {Error} */ (error).message,
      why: 'the package does not load, and the application with it (ERR_NATIVE_BINARY)',
      mend: ['npm install --include=optional   # on the system that runs it'],
      data: { platform },
    });
    return;
  }
  const data = { platform, node: process.versions.node, version: version() };
  report.ok('binary.loads', `holdfast ${data.version} loads on ${platform} with Node ${data.node}`, data);
}

/** @param {import('../exam.js').Exam} exam */
function configure(exam) {
  const { report, given } = exam;
  try {
    exam.timeoutMs = number('HOLDFAST_TIMEOUT_MS') ?? exam.timeoutMs;
    exam.heartbeat = number('HOLDFAST_HEARTBEAT') ?? exam.heartbeat;
    exam.trust = trust();
    for (const name of /** @type {const} */ (['HOLDFAST_MARKS', 'HOLDFAST_LAZY'])) flag(name);
    if (exam.timeoutMs < 1 || exam.timeoutMs > LONGEST_TIMEOUT_MS) {
      throw new Error(`HOLDFAST_TIMEOUT_MS must be 1 to ${LONGEST_TIMEOUT_MS} milliseconds`);
    }
    if (!NAMESPACE.test(given.namespace)) {
      throw new Error('the namespace (HOLDFAST_NAMESPACE) must be [A-Za-z0-9_.-], 64 characters at most');
    }
    return true;
  } catch (error) {
    report.add('problem', 'config.invalid', {
      measured: /** @type {Error} */ (error).message,
      why: 'createCache throws ERR_CONFIG, and the default cache runs in memory mode',
      mend: ['env | grep -E "^HOLDFAST_(NAMESPACE|TIMEOUT_MS|HEARTBEAT|MARKS|LAZY|TLS)"   # and docs/configuration.md'],
    });
    return false;
  }
}

/** The C library of this process, as the packages of the platforms are named. */
function libc() {
  if (process.platform !== 'linux') return '';
  const report = /** @type {any} */ (process.report);
  // Without it a report looks up the names of all sockets, which may take seconds.
  if (report) report.excludeNetwork = true;
  return report?.getReport()?.header?.glibcVersionRuntime ? '-gnu' : '-musl';
}

module.exports = { binary };
