// The contract of index.d.ts, one suite over every mode, and over both who may have the socket. What the suite says is
// in the folders of `contract/`, one file a subject.
'use strict';

const { closeCaches } = require('./support/holdfast');
const { DRIVEN } = require('./support/modes');

const SUBJECTS = {
  entries: ['values', 'ttl', 'expires-at', 'many', 'increment', 'take', 'set-if-absent', 'inspect', 'arguments'],
  codecs: ['codecs', 'text', 'whole'],
  keys: ['glob', 'namespaces', 'scan', 'soft-ends', 'soft-tags', 'tags'],
  computing: [
    'compute',
    'compute-many',
    'functions',
    'sharing',
    'fences',
    'stale',
    'context',
    'set-tags',
    'fresh',
    'validate',
    'signal',
  ],
  cache: ['stats', 'counters', 'events', 'invalidate', 'close', 'memoize', 'exclusive'],
};

describe.each(DRIVEN)('$name', (mode) => {
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  afterEach(closeCaches);

  if (mode.protocol) {
    test(`the connection speaks RESP${mode.protocol}`, async () => {
      await mode.cache();
      const ours = (await mode.server.cli('client', 'list')).split('\n').filter((line) => /name=holdfast/.test(line));
      // One connection to each server.
      expect(ours.map((line) => /resp=(\d)/.exec(line)[1])).toEqual(Array(mode.servers).fill(`${mode.protocol}`));
    });
  }

  for (const [folder, subjects] of Object.entries(SUBJECTS)) {
    for (const subject of subjects) describe(subject, () => require(`./contract/${folder}/${subject}`)(mode));
  }
});
