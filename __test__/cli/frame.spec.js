// The command line itself: which command is meant, help, colours, exit codes, and a reader that goes away.
'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { COMMANDS } = require('../../cli/commands.js');
const { wantsColours, wrapped } = require('../../cli/frame/colours.js');
const { makeProject } = require('../support/run-script');
const { runCli } = require('../support/command-line');

const manifest = require('../../package.json');

test('it is a program of the package, and says its version', () => {
  const { dir, remove } = makeProject();
  try {
    const program = path.join(dir, 'node_modules', 'holdfast', manifest.bin.holdfast);
    // By its first line, as npm's link runs it.
    expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toBe(`${manifest.version}\n`);
  } finally {
    remove();
  }
});

test('help names every command, and help of a command its options, examples and exit codes', async () => {
  const { code, stdout, stderr } = await runCli(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const { name, about, load } of COMMANDS) {
    expect(stdout).toContain(name);
    expect(stdout.replace(/\s+/g, ' ')).toContain(about);
    const command = load();
    const own = await runCli([name, '--help']);
    expect({ code: own.code, stderr: own.stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of [...Object.keys(command.options), 'json', 'help']) expect(own.stdout).toContain(`--${option}`);
    for (const [line] of command.examples) expect(own.stdout).toContain(line);
    for (const [number] of command.codes) expect(own.stdout).toMatch(new RegExp(`^  ${number}  `, 'm'));
    expect((await runCli(['help', name])).stdout).toBe(own.stdout);
  }
});

test('what is no command gets the help as an error, and the exit code 2', async () => {
  for (const args of [[], ['dokter'], ['help', 'dokter'], ['redis://:secret@h']]) {
    const { code, stdout, stderr } = await runCli(args);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toMatch(/doctor/);
    expect(stderr).not.toContain('secret');
  }
});

test('arguments that a command does not know are named, and their values are not', async () => {
  for (const args of [['--frobnicate=secret'], ['--namespace'], ['redis://:secret@h', 'redis://:secret@i']]) {
    const { code, stdout, stderr } = await runCli(['doctor', ...args]);
    expect({ args, code, stdout }).toEqual({ args, code: 3, stdout: '' });
    expect(stderr).toMatch(/^holdfast doctor: .+; npx holdfast doctor --help says more\n$/);
    expect(stderr).not.toContain('secret');
  }
});

test('colours are for terminals, and the environment has the last word', async () => {
  const terminal = { isTTY: true };
  expect(wantsColours(terminal, {})).toBe(true);
  expect(wantsColours({}, {})).toBe(false);
  expect(wantsColours(terminal, { TERM: 'dumb' })).toBe(false);
  expect(wantsColours(terminal, { NO_COLOR: '1' })).toBe(false);
  expect(wantsColours(terminal, { NO_COLOR: '' })).toBe(true);
  expect(wantsColours({}, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(true);
  expect(wantsColours(terminal, { FORCE_COLOR: '0' })).toBe(false);
  const [plain, coloured] = [await runCli(['--help']), await runCli(['--help'], { env: { FORCE_COLOR: '1' } })];
  expect(plain.stdout).not.toContain('\x1b');
  expect(coloured.stdout).toContain('\x1b[1m');
  // Nothing else differs.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are made of these
  expect(coloured.stdout.replace(/\x1b\[\d+m/g, '')).toBe(plain.stdout);
});

test('a reader that goes away is no error', async () => {
  const { code, signal, stderr } = await runCli(['doctor', 'redis://127.0.0.1:1'], { reads: false });
  expect({ code, signal, stderr }).toEqual({ code: 2, signal: null, stderr: '' });
});

test('a text is broken at words, and a word never', () => {
  expect(wrapped('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrapped('redis://a-long-word', 7)).toEqual(['redis://a-long-word']);
});
