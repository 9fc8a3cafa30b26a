// Owns the step `layers`: no module uses one that stands below its own, and no files use each other in a circle.
//
// The lists below are the order; CONTRIBUTING.md draws them, and the drawing is compared with them here. A line that
// reaches back is printed with its file and number.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { isMain, root } from './command.mjs';

/** The engine's layers, from what everything uses down to what nothing in it uses. */
export const ENGINE = [
  'base',
  'task',
  'call',
  'value',
  'store',
  'tier',
  'once',
  'net',
  'fleet',
  'cache',
  'exchange',
  'conversation',
  'serve',
  'node',
  'route',
  'front',
  'drive',
  'registry',
];
/** The same for src/js; its index.js uses them all, and none of them uses it. */
export const JS = ['base', 'addon', 'options', 'config', 'value', 'hot', 'bridge', 'once', 'cache'];
/** And for the benchmarks and the checker, whose run.js uses the rest. */
const BENCH = ['lab', 'clients', 'http', 'tiered', 'adapters', 'process', 'targets', 'run'];
const CHECK = ['schedule', 'stage', 'judge', 'lane', 'shrink', 'run'];
/** And for the command line, whose holdfast.js is the program: the frame, what commands share, the commands. */
export const CLI = ['frame', 'redis', 'stored', 'doctor', 'commands', 'holdfast'];
/** Folders below which nothing is looked at. */
const PASSED_OVER = ['tests', 'node_modules'];
const RUST = /\.rs$/;
const SCRIPT = /\.[cm]?js$/;
const SCRIPT_OR_TYPES = /\.([cm]?js|d\.[cm]?ts)$/;
/** What an adapter may use of the package: the functions, their types, and the manifest, which is exported as well. */
const PUBLIC = ['src/js/index.js', 'index', 'package.json'];
/**
 * What the command line may use of the package beside that: what says how the cache would be configured, and the
 * addon, which may be missing.
 */
const CONFIGURATION = ['src/js/base/environment.js', 'src/js/options/certificates.js', 'src/js/addon/native.js'];
/** Folders hold no more files than this, so that one look takes them in. */
const MAX_FILES = 10;
/** Files have no more lines than this, and no fewer: a subject that is smaller lives with its neighbour. */
const MAX_LINES = 350;
const MIN_LINES = 50;

const read = (file) => readFileSync(join(root, file), 'utf8');

/** All files below a folder whose names end so, without those of its tests. */
function filesOf(folder, ending) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = join(folder, entry.name);
    if (entry.isDirectory()) return PASSED_OVER.includes(entry.name) ? [] : filesOf(name, ending);
    return ending.test(name) ? [name] : [];
  });
}

/** What stands between the braces of a `use`, each path whole: `a::{b, c::{d}}` gives a::b and a::c::d. */
export function pathsOf(tree) {
  const open = tree.indexOf('{');
  if (open < 0) return [tree.trim()];
  const head = tree.slice(0, open);
  const parts = [''];
  let depth = 0;
  for (const char of tree.slice(open + 1, tree.lastIndexOf('}'))) {
    if (char === '{') depth++;
    if (char === '}') depth--;
    if (char === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts.filter((part) => part.trim() !== '').flatMap((part) => pathsOf(head + part.trim()));
}

/**
 * The paths of a Rust text that begin in this crate, with their lines: of `use`, and within code. Comments have none.
 */
export function pathsIn(text) {
  const code = text
    .replace(/\/\/[^\n]*/g, '')
    .replace(/"(?:[^"\\]|\\.)*"/gs, (string) => string.replace(/[^\n]/g, ' '));
  const found = [];
  const lineOf = (at) => code.slice(0, at).split('\n').length;
  for (const use of code.matchAll(/\buse\s+((?:crate|super|self)::[^;]+);/g)) {
    for (const path of pathsOf(use[1].replace(/\s+/g, ' '))) found.push({ path, line: lineOf(use.index) });
  }
  const rest = code.replace(/\buse\s+[^;]+;/g, (use) => use.replace(/[^\n]/g, ' '));
  for (const path of rest.matchAll(/\b(?:crate|super)(?:::\w+)+/g)) {
    found.push({ path: path[0], line: lineOf(path.index) });
  }
  return found;
}

/** The file that a path names, as a module below `folder`; undefined where it is none of them. */
function moduleOf(file, path, folder) {
  const names = path.split('::').map((name) => name.trim());
  let at = relative(folder, file).replace(/\.rs$/, '').split('/');
  if (at.at(-1) === 'mod') at.pop();
  if (names[0] === 'crate') {
    if (names[1] !== folder.split('/').at(-1)) return undefined;
    at = [];
    names.splice(0, 2);
  } else {
    while (names[0] === 'super') {
      at = at.slice(0, -1);
      names.shift();
    }
    if (names[0] === 'self') names.shift();
  }
  const whole = [...at, ...names];
  for (let length = whole.length; length > 0; length--) {
    const name = join(folder, ...whole.slice(0, length));
    if (existsSync(join(root, `${name}.rs`))) return `${name}.rs`;
    if (existsSync(join(root, name, 'mod.rs'))) return join(name, 'mod.rs');
  }
  return undefined;
}

/** Who uses whom below a folder of Rust: lines, each with the file that it uses. */
export function rustEdges(folder) {
  return filesOf(folder, RUST).flatMap((from) => {
    const text = read(from).replace(/\n#\[cfg\(test\)\]\nmod tests \{[\s\S]*$/, '\n');
    return pathsIn(text)
      .map(({ path, line }) => ({ from, line, to: moduleOf(from, path, folder) }))
      .filter(({ to }) => to && to !== from);
  });
}

/** The relative paths of a JavaScript text, with their lines: of `require` and `from`, and of `import` in types. */
export function pathsInScript(text) {
  return text.split('\n').flatMap((line, at) => {
    const code = line.replace(/^\s*(\*|\/\/|\/\*).*/, '');
    const found = (part, pattern, type) =>
      [...part.matchAll(pattern)].map(([, path]) => ({ path, line: at + 1, type }));
    return [
      ...found(code, /\brequire\('(\.[^']*)'\)/g, false),
      ...found(code, /\bfrom '(\.[^']*)';/g, false),
      ...found(line, /\bimport\('(\.[^']*)'\)/g, true),
    ];
  });
}

/** The same for JavaScript; `type` says that only the type is used. */
export function scriptEdges(folder) {
  return filesOf(folder, SCRIPT).flatMap((from) =>
    pathsInScript(read(from))
      .map(({ path, line, type }) => {
        const to = relative(root, resolve(root, dirname(from), path));
        const names = [to, `${to}.js`, `${to}/index.js`];
        return { from, line, type, to: names.find((name) => SCRIPT.test(name) && existsSync(join(root, name))) };
      })
      .filter(({ to }) => to?.startsWith(`${folder}/`)),
  );
}

/** The relative paths that the files below a folder name, each from the project's root. */
function usesOf(folder) {
  return filesOf(folder, SCRIPT_OR_TYPES).flatMap((from) =>
    pathsInScript(read(from)).map(({ path, line }) => ({
      from,
      line,
      to: relative(root, resolve(root, dirname(from), path)),
    })),
  );
}

/** The lines by which an adapter uses more than the public contract, its own folder and what the adapters share. */
export function beyondContract(uses) {
  return uses.flatMap(({ from, line, to }) => {
    const own = from.split('/').slice(0, 2).join('/');
    if (PUBLIC.includes(to) || [own, 'adapters/shared'].some((folder) => to.startsWith(`${folder}/`))) return [];
    return [`${from}:${line} uses ${to}: an adapter uses the public contract alone`];
  });
}

/** The lines by which the command line uses more than the public contract and the cache's configuration. */
export function beyondConfiguration(uses) {
  return uses.flatMap(({ from, line, to }) => {
    if (to.startsWith('cli/') || [...PUBLIC, ...CONFIGURATION].includes(to)) return [];
    return [`${from}:${line} uses ${to}: a command uses the public contract and the configuration alone`];
  });
}

/** The lines by which the package itself uses an adapter or a command: whoever needs none must not load one. */
export function usingAdapters(uses) {
  return uses.flatMap(({ from, line, to }) => {
    const what = to.startsWith('adapters/') ? 'adapter' : to.startsWith('cli/') ? 'command' : undefined;
    return what === undefined ? [] : [`${from}:${line} uses ${to}: the package uses no ${what}`];
  });
}

/** The first circle among the edges, as the list of its files; undefined where there is none. */
export function circleOf(edges) {
  const uses = new Map();
  for (const { from, to } of edges) uses.set(from, [...(uses.get(from) ?? []), to]);
  const done = new Set();
  const way = [];
  const visit = (file) => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    way.push(file);
    for (const next of uses.get(file) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    way.pop();
    done.add(file);
    return undefined;
  };
  for (const file of uses.keys()) {
    const circle = visit(file);
    if (circle) return circle;
  }
  return undefined;
}

/** The layer of a file: the first name below the folder. */
const layerOf = (file, folder) =>
  relative(folder, file)
    .split('/')[0]
    .replace(/\.(rs|[cm]?js)$/, '');

/** mod.rs and index.js are in no layer: they stand below all of them. */
const isFace = (layer) => layer === 'mod' || layer === 'index';

/** The lines that reach back: from a layer to one that stands behind it in the list. */
export function reachingBack(edges, folder, layers) {
  const place = (layer) => (isFace(layer) ? layers.length : layers.indexOf(layer));
  return edges.flatMap(({ from, line, to }) => {
    const [own, used] = [layerOf(from, folder), layerOf(to, folder)];
    if (place(own) < 0) return [];
    return place(used) > place(own) ? [`${from}:${line} uses ${to}: ${own} stands above ${used}`] : [];
  });
}

/** The files that stand in no layer, and the layers that have no file. */
export function outsideOf(files, folder, layers) {
  const found = files
    .filter((file) => !isFace(layerOf(file, folder)) && !layers.includes(layerOf(file, folder)))
    .map((file) => `${file}: ${layerOf(file, folder)} is no layer: the list is in scripts/layers.mjs`);
  const empty = layers.filter((layer) => !files.some((file) => layerOf(file, folder) === layer));
  return [...found, ...empty.map((layer) => `${folder} has no ${layer}, which is a layer in scripts/layers.mjs`)];
}

/** Folders with too many files, and files with too many lines or too few; a list of modules may be short. */
function misSized(folder, ending, least) {
  const counts = new Map();
  const found = [];
  for (const file of filesOf(folder, ending)) {
    counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    const lines = read(file).split('\n').length - 1;
    if (lines > MAX_LINES) found.push(`${file} has ${lines} lines, ${MAX_LINES} are allowed`);
    const isList = isFace(basename(file).replace(/\.(rs|js)$/, ''));
    if (lines < least && !isList) found.push(`${file} has ${lines} lines, ${least} are the least`);
  }
  for (const [name, files] of counts) {
    if (files > MAX_FILES) found.push(`${name} has ${files} files, ${MAX_FILES} are allowed`);
  }
  return found;
}

/** The drawings of CONTRIBUTING.md against the code: the layers in their order, and the files of a call's way. */
export function drawingFaults(text) {
  const blocksOf = (heading) => {
    const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
    return [...section.matchAll(/```\n([\s\S]*?)```/g)].map(([, block]) => block).join('');
  };
  const found = [];
  for (const [folder, layers] of [
    ['src/engine', ENGINE],
    ['src/js', JS],
  ]) {
    const line = new RegExp(`^ *${folder}/(\\w+)(?![\\w.])`, 'gm');
    const drawn = [...blocksOf('The layers').matchAll(line)].map(([, layer]) => layer);
    if (drawn.join() === layers.join()) continue;
    found.push(
      `CONTRIBUTING.md draws the layers ${drawn.join(' ')} of ${folder}; scripts/layers.mjs has ${layers.join(' ')}`,
    );
  }
  const way = [...blocksOf("A call's way").matchAll(/\bsrc\/[\w/.-]+\.(?:rs|js)\b/g)].map(([file]) => file);
  if (way.length === 0) found.push("CONTRIBUTING.md draws no call's way");
  for (const file of way.filter((name) => !existsSync(join(root, name)))) {
    found.push(`CONTRIBUTING.md draws ${file}, which is not there`);
  }
  return found;
}

/** All that is wrong, as lines. */
export function faults() {
  const found = [];
  const withoutLists = (edges) => edges.filter(({ from, to }) => !/\bmod\.rs$/.test(from) && !/\bmod\.rs$/.test(to));
  const engine = rustEdges('src/engine');
  const script = scriptEdges('src/js');
  for (const [folder, ending, layers, edges] of [
    ['src/engine', RUST, ENGINE, engine],
    ['src/js', SCRIPT, JS, script],
    ['bench', SCRIPT, BENCH, scriptEdges('bench')],
    ['check', SCRIPT, CHECK, scriptEdges('check')],
    ['cli', SCRIPT, CLI, scriptEdges('cli')],
  ]) {
    found.push(...reachingBack(edges, folder, layers), ...outsideOf(filesOf(folder, ending), folder, layers));
  }
  for (const [place, edges] of [
    ['src/engine', withoutLists(engine)],
    ['src/binding', withoutLists(rustEdges('src/binding'))],
    // The classes of one layer may name each other's types.
    ['src/js', script.filter(({ type }) => !type)],
    ...['adapters', 'bench', 'check', 'cli', 'scripts'].map((place) => [place, scriptEdges(place)]),
  ]) {
    const circle = circleOf(edges);
    if (circle) found.push(`${place} has a circle: ${circle.join(' uses ')}`);
  }
  for (const file of filesOf('src/engine', RUST)) {
    if (/\bnapi\b/.test(read(file).replace(/\/\/[^\n]*/g, ''))) found.push(`${file} knows napi`);
  }
  for (const place of ['src/engine', 'src/binding', 'sim/src']) found.push(...misSized(place, RUST, MIN_LINES));
  found.push(...misSized('src/js', SCRIPT, MIN_LINES));
  found.push(...beyondContract(usesOf('adapters')), ...usingAdapters(usesOf('src/js')));
  found.push(...beyondConfiguration(usesOf('cli')));
  // Workers, commands and adapters may be as small as they are.
  for (const place of ['adapters', 'bench', 'check', 'cli', 'scripts']) found.push(...misSized(place, SCRIPT, 0));
  found.push(...drawingFaults(read('CONTRIBUTING.md')));
  return found;
}

if (isMain(import.meta.url)) {
  const found = faults();
  for (const line of found) console.error(line);
  if (found.length > 0) process.exitCode = 1;
  else console.log(`${ENGINE.length} layers of the engine, ${JS.length} of src/js; no line reaches back, no circle`);
}
