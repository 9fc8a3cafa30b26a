// `holdfast doctor [url]`: examines one Redis and the way to it. It changes nothing there, unless --write-test asks
// for a key of its own that ends at once.
'use strict';

const { variable } = require('../../src/js/base/environment.js');
const { TOTAL_MS } = require('./budget.js');
const { Exam } = require('./exam.js');
const { document, print } = require('./print.js');
const { access } = require('./steps/access.js');
const { address, sentinels } = require('./steps/address.js');
const { binary } = require('./steps/binary.js');
const { commands } = require('./steps/commands.js');
const { keys } = require('./steps/keys.js');
const { latency } = require('./steps/latency.js');
const { limits } = require('./steps/limits.js');
const { dns, tcp, tls } = require('./steps/network.js');
const { pushes } = require('./steps/pushes.js');
const { server } = require('./steps/server.js');

/** In the order in which they are made. The commands come last: a server that pauses writes answers none of them. */
const STEPS = [binary, address, sentinels, dns, tcp, tls, access, server, limits, pushes, latency, keys, commands];

/** @type {import('../frame/arguments.js').Command} */
module.exports = {
  synopsis: '[url] [options]',
  about: [
    'Examines one Redis and the way to it: name, TCP, TLS, password, ACL, the server and what it is set to, client ' +
      'tracking, latency, a sample of the keys. Each finding says what was measured, why it matters to the cache, and ' +
      'the line that mends it.',
    'It changes nothing: commands are tried at keys where nothing lies. Client tracking is proved only with ' +
      '--write-test, which writes one key of its own within the namespace that ends within a second.',
    `All together takes ${TOTAL_MS / 1000} s at most, however broken the server is.`,
  ],
  options: {
    namespace: { value: 'NAME', short: 'n', about: "the cache's namespace; HOLDFAST_NAMESPACE where it is not given" },
    servername: { value: 'NAME', about: 'the name that the certificate must carry, as the option tls.servername' },
    'write-test': { about: 'write a key that ends at once, and see that its invalidation arrives' },
  },
  most: 1,
  examples: [
    ['npx holdfast doctor', 'the server of REDIS_URL'],
    ['npx holdfast doctor redis://localhost:6379 -n shop', 'another one, and the namespace of a cache'],
    ["npx holdfast doctor --json | jq -r '.findings[] | select(.mend != []).id'", 'for a script'],
    ['node --env-file=.env node_modules/.bin/holdfast doctor', 'with the variables of a file'],
  ],
  codes: [
    [0, 'all is well, or worth a note at most'],
    [1, 'there are warnings'],
    [2, 'there are problems: the cache does not use this server, or loses what it stores'],
    [3, 'wrong usage: the arguments were not understood'],
  ],
  usageCode: 3,
  async run({ values, given, out }) {
    const [argument] = given;
    const exam = new Exam({
      url: argument ?? variable('REDIS_URL') ?? '',
      source: argument === undefined ? 'REDIS_URL' : 'the argument',
      namespace: String(values.namespace ?? variable('HOLDFAST_NAMESPACE') ?? ''),
      servername: typeof values.servername === 'string' ? values.servername : undefined,
      writeTest: values['write-test'] === true,
    });
    await exam.make(STEPS);
    const { report, budget } = exam;
    if (values.json) out.json(document(report, budget.took()));
    else print(report, budget.took(), out);
    return report.exitCode();
  },
};
