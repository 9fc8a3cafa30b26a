// The doubles of the providers, as the doctor sees them: what each lacks is named, with what follows and the mend.
'use strict';

const { makeCertificates } = require('../../support/network/tls');
const { Double } = require('../../support/providers/double');
const { PROFILES, SCRIPTS } = require('../../support/providers/profiles');
const { examine, expectFinding } = require('../../support/command-line');

/** The commands behind the names of profiles.js. */
const COMMANDS = {
  HELLO: ['HELLO'],
  'CLIENT SETNAME': ['CLIENT SETNAME'],
  'CLIENT KILL': ['CLIENT KILL'],
  'CLIENT ID and CLIENT KILL': ['CLIENT ID', 'CLIENT KILL'],
  'CLIENT TRACKING': ['CLIENT TRACKING'],
  [SCRIPTS]: ['EVAL', 'EVALSHA'],
};

let certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates.remove());

test.each(PROFILES)('$name', async (profile) => {
  const server = await new Double(profile, certificates.selfSigned).start();
  try {
    const env = profile.selfSigned ? { HOLDFAST_TLS_CA: certificates.selfSigned.cert } : {};
    const report = await examine(server.url(), { env, args: ['-n', 'app'] });
    expect(report.ids).toContain('access.granted');
    expect(report.steps.map(({ outcome }) => outcome)).toEqual(report.steps.map(() => 'done'));

    const named = report.findings
      .filter(({ id }) => id === 'acl.denied' || id === 'commands.unknown')
      .flatMap(({ data }) => data.commands);
    for (const lack of profile.lacks) for (const command of COMMANDS[lack]) expect(named).toContain(command);
    // What it does not lack is not named, but for what hardly matters.
    const lacking = profile.lacks.flatMap((lack) => COMMANDS[lack]);
    const more = named.filter((command) => !lacking.includes(command));
    const ofClient = /^CLIENT |^SCRIPT |^ROLE$|^CLUSTER /;
    expect(more.filter((command) => !ofClient.test(command))).toEqual([]);
    if (profile.lacks.includes('HELLO')) expectFinding(report, 'pushes.resp2', 'warning');
    else if (profile.lacks.includes('CLIENT TRACKING')) expectFinding(report, 'pushes.tracking', 'warning');
    else expect(report.ids).toContain('pushes.accepted');

    // Of one node, which is all that could be named.
    if (profile.cluster) expect(report.ids).toContain('cluster.seeds');
    const lines = (profile.config ?? []).join('\n');
    if (/noeviction/.test(lines)) expectFinding(report, 'memory.noeviction', 'warning', /allkeys-lru/);
    if (/volatile/.test(lines)) expectFinding(report, 'memory.volatile', 'note', /allkeys-lru/);
  } finally {
    await server.stop();
  }
});
