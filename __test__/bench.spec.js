// The benchmark runs and reports; what it measures is for docs/benchmarks, never for a test.
'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { cleanEnv } = require('./support/run-script');

const RUN = path.join(__dirname, '../bench/run.js');

test('a quick run compares holdfast with a peer and leaves the documentation alone', async () => {
  const { stdout, files, folder } = await quickRun('--only', 'holdfast,ioredis');
  try {
    expect(files).toEqual(['clients.md', 'clients.svg', 'clients.json']);
    const { windows } = JSON.parse(fs.readFileSync(path.join(folder, 'clients.json'), 'utf8'));
    // Two clients, get and set, at 1, 64 and 512 callers.
    expect(windows).toHaveLength(12);
    expect(stdout).toContain('## Ratios');
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('a quick run reads hot keys of the tiered caches, none of them from Redis', async () => {
  const names = ['holdfast', 'holdfast frozen', 'holdfast not hot', 'cacheable', 'lru-cache'];
  const { stdout, folder } = await quickRun('tiered', '--only', names.join());
  try {
    const { windows } = JSON.parse(fs.readFileSync(path.join(folder, 'tiered.json'), 'utf8'));
    expect(windows.map((window) => window.cache)).toEqual(names);
    expect(stdout).toContain('## Ratios');
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('a quick run tells how soon near caches see a write', async () => {
  const { folder } = await quickRun('coherence');
  try {
    const { rounds } = JSON.parse(fs.readFileSync(path.join(folder, 'coherence.json'), 'utf8'));
    const readers = rounds.flatMap((round) => round.readers);
    expect(readers).toHaveLength(8);
    expect(readers.every(({ backwards, near }) => backwards === 0 && near > 0)).toBe(true);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

/** Runs a benchmark of it with `args`; resolves to its output, and the files and folder that it says it wrote. */
async function quickRun(...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, ...args, '--quick'], { env: cleanEnv({}) });
  const [, files, folder] = /^(.*) written to (\S+) \(a quick run proves nothing\)$/m.exec(stdout);
  return { stdout, files: files.split(', '), folder };
}
