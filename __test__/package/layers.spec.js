// The check of the layers (scripts/layers.mjs): it passes for the code as it is, and finds what it is there to find.
'use strict';

const { askerOf } = require('../support/ask-script');

const ask = askerOf('layers.mjs');

test('the layers are as they are said to be', () => {
  expect(ask('faults')).toEqual([]);
});

test('a line that reaches back is named, with what it uses', () => {
  const edge = { from: 'src/engine/base/clock.rs', line: 7, to: 'src/engine/node/pump.rs' };
  expect(ask('reachingBack', [edge], 'src/engine', ask('ENGINE'))).toEqual([
    'src/engine/base/clock.rs:7 uses src/engine/node/pump.rs: base stands above node',
  ]);
  const forth = { from: edge.to, line: 7, to: edge.from };
  expect(ask('reachingBack', [forth], 'src/engine', ask('ENGINE'))).toEqual([]);
});

test('in src/js, too; and no layer uses its index.js, which uses them all', () => {
  const edges = [
    { from: 'src/js/base/host.js', line: 7, to: 'src/js/cache/cache.js' },
    { from: 'src/js/cache/cache.js', line: 7, to: 'src/js/base/host.js' },
    { from: 'src/js/cache/cache.js', line: 9, to: 'src/js/index.js' },
    { from: 'src/js/index.js', line: 9, to: 'src/js/cache/cache.js' },
  ];
  expect(ask('reachingBack', edges, 'src/js', ask('JS'))).toEqual([
    'src/js/base/host.js:7 uses src/js/cache/cache.js: base stands above cache',
    'src/js/cache/cache.js:9 uses src/js/index.js: cache stands above index',
  ]);
});

test('a file in no layer is named, and a layer without a file', () => {
  const files = ['src/js/index.js', 'src/js/one/a.js', 'src/js/elsewhere/b.js', 'src/js/flat.js'];
  const named = ask('outsideOf', files, 'src/js', ['one', 'two']);
  expect(named).toHaveLength(3);
  expect(named[0]).toMatch(/^src\/js\/elsewhere\/b\.js: elsewhere is no layer/);
  expect(named[1]).toMatch(/^src\/js\/flat\.js: flat is no layer/);
  expect(named[2]).toMatch(/^src\/js has no two/);
});

test('an adapter that looks behind the public contract is named, and a package that needs an adapter', () => {
  const uses = [
    ['adapters/keyv/index.js', 'src/js/index.js'],
    ['adapters/keyv/index.d.ts', 'index'],
    ['adapters/keyv/index.js', 'adapters/shared/texts.js'],
    ['adapters/http/index.js', 'adapters/http/vary.js'],
    ['adapters/keyv/index.js', 'src/js/cache/cache'],
    ['adapters/keyv/index.js', 'adapters/http/index.js'],
  ].map(([from, to]) => ({ from, line: 7, to }));
  expect(ask('beyondContract', uses)).toEqual([
    'adapters/keyv/index.js:7 uses src/js/cache/cache: an adapter uses the public contract alone',
    'adapters/keyv/index.js:7 uses adapters/http/index.js: an adapter uses the public contract alone',
  ]);
  const back = { from: 'src/js/index.js', line: 9, to: 'adapters/keyv/index.js' };
  expect(ask('usingAdapters', [back, uses[4]])).toEqual([
    'src/js/index.js:9 uses adapters/keyv/index.js: the package uses no adapter',
  ]);
});

test('a command that looks behind the contract and the configuration is named, and a package that needs a command', () => {
  const uses = [
    ['cli/doctor/index.js', 'src/js/index.js'],
    ['cli/doctor/index.js', 'src/js/base/environment.js'],
    ['cli/doctor/index.js', 'cli/redis/open.js'],
    ['cli/doctor/index.js', 'src/js/cache/cache.js'],
  ].map(([from, to]) => ({ from, line: 7, to }));
  expect(ask('beyondConfiguration', uses)).toEqual([
    'cli/doctor/index.js:7 uses src/js/cache/cache.js: a command uses the public contract and the configuration alone',
  ]);
  expect(ask('usingAdapters', [{ from: 'src/js/index.js', line: 9, to: 'cli/commands.js' }])).toEqual([
    'src/js/index.js:9 uses cli/commands.js: the package uses no command',
  ]);
});

test('a circle is found, however long', () => {
  const edges = [
    ['a', 'b'],
    ['b', 'c'],
    ['x', 'a'],
    ['c', 'a'],
  ].map(([from, to]) => ({ from, to }));
  expect(ask('circleOf', edges)).toEqual(['a', 'b', 'c', 'a']);
  expect(ask('circleOf', edges.slice(0, 3))).toBeNull();
});

test('paths are read from nested lists and from code, and not from comments and strings', () => {
  const source = [
    '// use crate::engine::no::never;',
    'use crate::engine::{base::{clock, key::Prefix}, call};',
    'fn f() { crate::engine::tier::near::get("crate::engine::no::string") }',
  ].join('\n');
  expect(ask('pathsIn', source)).toEqual([
    { path: 'crate::engine::base::clock', line: 2 },
    { path: 'crate::engine::base::key::Prefix', line: 2 },
    { path: 'crate::engine::call', line: 2 },
    { path: 'crate::engine::tier::near::get', line: 3 },
  ]);
});

test('in JavaScript they are read from code and from JSDoc types, and not from comments', () => {
  const source = [
    "// require('./no/never')",
    "const { now } = require('../base/host');",
    "const fs = require('node:fs');",
    "/** @param {import('./lane').Lane} lane */",
  ].join('\n');
  expect(ask('pathsInScript', source)).toEqual([
    { path: '../base/host', line: 2, type: false },
    { path: './lane', line: 4, type: true },
  ]);
});

test('a drawing that no longer fits is named', () => {
  const [engine, js, way] = ask('drawingFaults', '# nothing drawn');
  expect(engine).toMatch(/draws the layers .*src\/engine/);
  expect(js).toMatch(/draws the layers .*src\/js/);
  expect(way).toMatch("draws no call's way");
});
