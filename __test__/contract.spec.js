// The contract of index.d.ts, one suite over every mode. What the suite says is in `contract/`, one file a subject.
'use strict';

const { closeCaches } = require('./support/holdfast');
const { MODES } = require('./support/modes');

const SUBJECTS = [
  'values',
  'ttl',
  'glob',
  'many',
  'increment',
  'compute',
  'compute-many',
  'functions',
  'sharing',
  'fences',
  'namespaces',
  'arguments',
  'stale',
  'codecs',
  'tags',
  'stats',
  'events',
  'close',
];

describe.each(MODES)('$name', (mode) => {
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  afterEach(closeCaches);

  if (mode.protocol) {
    test(`the connection speaks RESP${mode.protocol}`, async () => {
      await mode.cache();
      const ours = (await mode.server.cli('client', 'list')).split('\n').filter((line) => /name=holdfast/.test(line));
      expect(ours.map((line) => /resp=(\d)/.exec(line)[1])).toEqual([`${mode.protocol}`]);
    });
  }

  for (const subject of SUBJECTS) {
    describe(subject, () => require(`./contract/${subject}`)(mode));
  }
});
