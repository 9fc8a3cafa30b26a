// The report itself: the document that --json prints, the text for people, and docs/doctor.md, which promises both.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { examine, runCli } = require('../../support/command-line');

const DOCTOR = path.join(ROOT, 'cli', 'doctor');
const page = fs.readFileSync(path.join(ROOT, 'docs', 'doctor.md'), 'utf8');

const server = serverForAll({
  password: 'secret-of-server',
  config: ['maxmemory 64mb', 'maxmemory-policy noeviction'],
});

/** The ids that the sources name: `report.add('problem', 'tls.fails', …`, `report.ok('…'`, and those of tables. */
function idsInSources() {
  const files = fs.readdirSync(DOCTOR, { recursive: true }).filter((name) => name.endsWith('.js'));
  const steps =
    /^(binary|config|url|sentinels|dns|tcp|tls|access|server|database|cluster|memory|clients|persistence|pushes|latency|clock|keys|queue|acl|commands|writes)$/;
  const ids = new Set();
  for (const file of files) {
    const text = fs.readFileSync(path.join(DOCTOR, file), 'utf8');
    for (const [, step, name] of text.matchAll(/'([a-z]+)\.([a-z-]+)'/g)) {
      if (steps.test(step) && name !== 'js') ids.add(`${step}.${name}`);
    }
  }
  return ids;
}

test('the document has these fields, and no others', async () => {
  const { ids, ...document } = await examine(server.url(), { args: ['-n', 'app'] });
  expect(ids.length).toBeGreaterThan(5);
  expect(document).toEqual({
    schema: 1,
    holdfast: expect.stringMatching(/^\d+\.\d+\.\d+/),
    exitCode: expect.any(Number),
    worst: expect.stringMatching(/^(ok|note|warning|problem)$/),
    tookMs: expect.any(Number),
    budgetMs: expect.any(Number),
    findings: expect.any(Array),
    steps: expect.any(Array),
  });
  for (const finding of document.findings) {
    expect(Object.keys(finding)).toEqual(['id', 'level', 'step', 'measured', 'why', 'mend', 'data']);
  }
  for (const step of document.steps) expect(Object.keys(step)).toEqual(['name', 'budgetMs', 'tookMs', 'outcome']);
});

test('the text says of each finding what was seen, why it matters and the mend, and nothing of the password', async () => {
  const url = server.url();
  const { findings } = await examine(url);
  const { code, stdout, stderr } = await runCli(['doctor', url]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout).not.toContain('secret-of-server');
  const flat = stdout.replace(/\s+/g, ' ');
  for (const { id, why, mend } of findings) {
    expect(flat).toContain(id);
    if (why !== null) expect(flat).toContain(why);
    for (const line of mend) expect(stdout).toContain(line);
  }
  expect(stdout).toMatch(/\n0 problems, 1 warning, 1 note, \d+ ok, in \d\.\d s\n$/);
});

test('docs/doctor.md names every finding that the sources have, and no others', () => {
  const documented = [...page.matchAll(/^\| `([a-z]+\.[a-z-]+)` \|/gm)].map(([, id]) => id);
  expect(documented.sort()).toEqual([...idsInSources()].sort());
});

test('docs/doctor.md names every step, with its deadline', () => {
  const { STEPS_MS, TOTAL_MS } = require('../../../cli/doctor/budget.js');
  for (const [name, ms] of Object.entries(STEPS_MS)) expect(page).toMatch(new RegExp(`\`${name}\` ${ms}\\b`));
  expect(page).toContain(`${TOTAL_MS / 1000} s`);
});
