// The benchmark runs and reports; what it measures is for docs/benchmarks, never for a test.
'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { cleanEnv } = require('./support/run-script');

const RUN = path.join(__dirname, '../bench/run.js');

test('a quick run compares holdfast with a peer and leaves the documentation alone', async () => {
  const args = [RUN, '--quick', '--only', 'holdfast,ioredis'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: cleanEnv({}) });
  const [, names, folder] = /^(.*) written to (\S+) \(a quick run proves nothing\)$/m.exec(stdout);
  try {
    expect(names.split(', ')).toEqual(['clients.md', 'clients.svg', 'clients.json']);
    const { windows } = JSON.parse(fs.readFileSync(path.join(folder, 'clients.json'), 'utf8'));
    // Two clients, get and set, at 1, 64 and 512 callers.
    expect(windows).toHaveLength(12);
    expect(stdout).toContain('## Ratios');
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
