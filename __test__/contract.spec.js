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

  for (const subject of SUBJECTS) {
    describe(subject, () => require(`./contract/${subject}`)(mode));
  }
});
