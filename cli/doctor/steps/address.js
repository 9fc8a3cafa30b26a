// Where the server is: what the URL says, and, where it names sentinels, what these say.
'use strict';

const { text } = require('../../redis/resp.js');
const { literal } = require('../../redis/dial.js');
const { open } = require('../../redis/open.js');
const { UrlFault, seeds } = require('../../redis/target.js');

const FORM = 'REDIS_URL=redis://USER:PASSWORD@HOST:6379/0';
/** The line that gives a password the form that a URL needs. It is read without showing, and stands in no history. */
const ENCODE =
  'read -rs P && P="$P" node -p "encodeURIComponent(process.env.P)"   # the password as it must stand in the URL';

/** @type {Record<string, string[]>} by the ids that UrlFault gives */
const MENDS = {
  'url.invalid': [FORM],
  'url.hash': [ENCODE, 'HOLDFAST_TLS_INSECURE=1   # in place of #insecure'],
  'url.password-encoding': [ENCODE],
  'url.scheme': [FORM, 'REDIS_URL=rediss://USER:PASSWORD@HOST:6379   # with TLS'],
};

/** @type {import('../exam.js').Examination} */
const address = {
  name: 'url',
  run(exam) {
    const { report, given } = exam;
    if (given.url === '') {
      report.add('warning', 'url.none', {
        measured: 'no URL is given, and REDIS_URL is unset or empty',
        why: 'the cache runs in memory mode: each process has a cache of its own. In production health() is degraded',
        mend: [FORM],
      });
      return false;
    }
    try {
      exam.seeds = seeds(given.url);
    } catch (error) {
      if (!(error instanceof UrlFault)) throw error;
      const id = `url.${error.id}`;
      report.add('problem', id, {
        measured: `${error.message} (from ${given.source})`,
        why: 'createCache throws ERR_CONFIG, and the default cache runs in memory mode',
        mend: MENDS[id],
      });
      return false;
    }
    const { form, targets, access } = exam.seeds;
    // Before a deadline runs: it takes a while.
    if (access.tls && !contextOf(exam)) return false;
    exam.at = form === 'sentinels' ? null : targets[0];
    describe(exam, form, targets, access);
    return true;
  },
};

/**
 * Whether the certificates and the key of the environment can be used.
 * @param {import('../exam.js').Exam} exam
 */
function contextOf({ report, trust }) {
  try {
    trust?.context();
    return true;
  } catch (error) {
    const { code = 'not PEM' } = /** @type {NodeJS.ErrnoException} */ (error);
    report.add('problem', 'config.certificates', {
      measured: `a certificate or key of HOLDFAST_TLS_CA, _CERT or _KEY cannot be used (${code})`,
      why: 'createCache throws ERR_CONFIG, and the default cache runs in memory mode',
      mend: [
        'openssl x509 -noout -subject -in "$HOLDFAST_TLS_CA"   # and _CERT; openssl pkey -noout -in "$HOLDFAST_TLS_KEY"',
      ],
    });
    return false;
  }
}

/**
 * @param {import('../exam.js').Exam} exam
 * @param {'server' | 'cluster' | 'sentinels'} form
 * @param {import('../../redis/target.js').Target[]} targets
 * @param {import('../../redis/target.js').Target} access
 */
function describe({ report, given }, form, targets, access) {
  const whom = { server: 'a server', cluster: `${targets.length} node(s) of a cluster`, sentinels: 'sentinels' }[form];
  const way = targets[0].path !== '' ? 'a unix socket' : access.tls ? 'TLS' : 'TCP without TLS';
  const credentials = access.password === null ? 'without a password' : 'with a password';
  const data = { form, way, database: access.database, hasPassword: access.password !== null, source: given.source };
  const { database } = access;
  report.ok('url.parses', `${given.source} names ${whom}: ${way}, database ${database}, ${credentials}`, data);
  if (access.password !== null && given.source !== 'REDIS_URL') {
    report.add('note', 'url.on-command-line', {
      measured: 'the password stands on the command line',
      why: 'other users of this machine see it in the list of processes, and the shell keeps it in its history',
      mend: ['read -rs REDIS_URL && export REDIS_URL && npx holdfast doctor   # the URL is read without showing'],
    });
  }
}

/** @type {import('../exam.js').Examination} */
const sentinels = {
  name: 'sentinels',
  skips: ({ seeds: named }) => named?.form !== 'sentinels',
  late: {
    measured: 'the sentinels named no primary',
    why: 'the cache asks them before each connection, and runs in memory mode until one answers',
    mend: ['redis-cli -h SENTINEL -p 26379 SENTINEL MASTERS'],
  },
  async run(exam, deadline) {
    const { report, trust } = exam;
    const { targets, name, access } = /** @type {import('../../redis/target.js').Seeds} */ (exam.seeds);
    /** @type {string[]} */
    const failures = [];
    /** @param {import('../../redis/target.js').Target} sentinel */
    const ask = async (sentinel) => {
      const connection = await open(sentinel, /** @type {any} */ (trust), deadline, exam.given.servername);
      try {
        return await deadline.race(connection.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name));
      } finally {
        connection.close();
      }
    };
    const answers = await Promise.all(
      targets.map((sentinel) =>
        ask(sentinel).catch((error) => {
          failures.push(error.code || error.message || 'nothing came in time');
          return undefined;
        }),
      ),
    );
    const named = answers.find((answer) => Array.isArray(answer) && answer.length === 2);
    const data = { asked: targets.length, answered: answers.filter((answer) => answer !== undefined).length };
    if (data.answered < data.asked) {
      report.add(named === undefined ? 'problem' : 'warning', 'sentinels.away', {
        measured: `${data.asked - data.answered} of ${data.asked} sentinels do not answer (${failures.join('; ')})`,
        why: 'the next one is asked; where none answers the cache runs in memory mode',
        mend: ['redis-cli -h SENTINEL -p 26379 PING   # each of them'],
        data,
      });
    }
    if (!Array.isArray(named)) {
      if (data.answered === 0) return false;
      report.add('problem', 'sentinels.unknown-name', {
        measured: 'the sentinels know no primary of the name in the URL',
        why: 'the cache finds no server, and runs in memory mode',
        mend: ['redis-cli -h SENTINEL -p 26379 SENTINEL MASTERS   # the names that they know'],
        data,
      });
      return false;
    }
    const [host, port] = named.map((part) => text(part) ?? '');
    report.ok(
      'sentinels.name',
      `${data.answered} of ${data.asked} sentinels answer; the primary is ${literal(host)}:${port}`,
      data,
    );
    exam.at = { ...access, host, port: Number(port) };
    return true;
  },
};

module.exports = { address, sentinels };
