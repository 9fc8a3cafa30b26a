// The check of the layers (scripts/layers.mjs): it passes for the code as it is, and finds what it is there to find.
'use strict';

const { pathToFileURL } = require('node:url');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { ROOT } = require('../support/holdfast');

/** What the functions of the check say; Jest's own `import` needs a flag. */
function say(expression) {
  const url = pathToFileURL(path.join(ROOT, 'scripts/layers.mjs'));
  const source = `const check = await import(${JSON.stringify(url)}); console.log(JSON.stringify(${expression} ?? null));`;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' }));
}

test('the layers are as they are said to be', () => {
  expect(say('check.faults()')).toEqual([]);
});

test('a line that reaches back is named, with what it uses', () => {
  const edge = { from: 'src/engine/base/clock.rs', line: 7, to: 'src/engine/node/serve.rs' };
  expect(say(`check.reachingBack([${JSON.stringify(edge)}], 'src/engine', check.ENGINE)`)).toEqual([
    'src/engine/base/clock.rs:7 uses src/engine/node/serve.rs: base stands above node',
  ]);
  const forth = { from: edge.to, line: 7, to: edge.from };
  expect(say(`check.reachingBack([${JSON.stringify(forth)}], 'src/engine', check.ENGINE)`)).toEqual([]);
  const unknown = { from: 'src/engine/elsewhere/a.rs', line: 1, to: 'src/engine/base/clock.rs' };
  expect(say(`check.reachingBack([${JSON.stringify(unknown)}], 'src/engine', check.ENGINE)`)).toHaveLength(1);
});

test('a circle is found, however long', () => {
  const edges = [
    ['a', 'b'],
    ['b', 'c'],
    ['x', 'a'],
    ['c', 'a'],
  ].map(([from, to]) => ({ from, to }));
  expect(say(`check.circleOf(${JSON.stringify(edges)})`)).toEqual(['a', 'b', 'c', 'a']);
  expect(say(`check.circleOf(${JSON.stringify(edges.slice(0, 3))})`)).toBeNull();
});

test('paths are read from nested lists and from code, and not from comments and strings', () => {
  const source = [
    '// use crate::engine::no::never;',
    'use crate::engine::{base::{clock, key::Prefix}, call};',
    'fn f() { crate::engine::tier::near::get("crate::engine::no::string") }',
  ].join('\n');
  expect(say(`check.pathsIn(${JSON.stringify(source)})`)).toEqual([
    { path: 'crate::engine::base::clock', line: 2 },
    { path: 'crate::engine::base::key::Prefix', line: 2 },
    { path: 'crate::engine::call', line: 2 },
    { path: 'crate::engine::tier::near::get', line: 3 },
  ]);
});

test('a drawing that no longer fits is named', () => {
  const [layers, way] = say("check.drawingFaults('# nothing drawn')");
  expect(layers).toMatch('draws the layers');
  expect(way).toMatch("draws no call's way");
});
