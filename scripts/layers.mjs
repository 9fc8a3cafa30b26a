// Owns the step `layers`: no module uses one that stands below its own, and no files use each other in a circle.
//
// The lists below are the order; CONTRIBUTING.md draws them, and the drawing is compared with them here. A line that
// reaches back is printed with its file and number.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './setup.mjs';

/** The engine, from what everything uses down to what nothing in it uses. */
export const ENGINE = [
  'base',
  'call',
  'value',
  'tier',
  'once',
  'net',
  'cache',
  'exchange',
  'conversation',
  'node',
  'registry',
  'front',
];
/** Folders hold no more files than this, so that one look takes them in. */
const MAX_FILES = 10;
/** Lines of a file. A shorter one is a part of its neighbour, but for lists of modules and leaves that nothing fits. */
const MAX_LINES = 350;

const read = (file) => readFileSync(join(root, file), 'utf8');

/** All files below a folder whose names end so, without those of its tests. */
function filesOf(folder, ending) {
  if (!existsSync(join(root, folder))) return [];
  const names = readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name));
  return names.filter((name) => name.endsWith(ending) && !name.includes('/tests/'));
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

/** The paths of a Rust text that begin in this crate, with their lines: of `use`, and within code. Comments have none. */
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
  return filesOf(folder, '.rs').flatMap((from) => {
    const text = read(from).replace(/\n#\[cfg\(test\)\]\nmod tests \{[\s\S]*$/, '\n');
    return pathsIn(text)
      .map(({ path, line }) => ({ from, line, to: moduleOf(from, path, folder) }))
      .filter(({ to }) => to && to !== from);
  });
}

/** The same for JavaScript. */
export function scriptEdges(folder) {
  return filesOf(folder, '.js').flatMap((from) =>
    read(from)
      .split('\n')
      .flatMap((text, at) => {
        const code = text.replace(/^\s*(\*|\/\/).*/, '');
        return [...code.matchAll(/require\('(\.[^']*)'\)/g)].map(([, path]) => {
          const to = relative(root, resolve(root, dirname(from), path));
          return {
            from,
            line: at + 1,
            to: [to, `${to}.js`, `${to}/index.js`].find((name) => /\.js$/.test(name) && existsSync(join(root, name))),
          };
        });
      })
      .filter(({ to }) => to?.startsWith(folder)),
  );
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

/** The lines that reach back: from a layer to one that stands behind it in the list. */
export function reachingBack(edges, folder, layers) {
  const layer = (file) =>
    relative(folder, file)
      .split('/')[0]
      .replace(/\.(rs|js)$/, '');
  return edges.flatMap(({ from, line, to }) => {
    const [own, used] = [layers.indexOf(layer(from)), layers.indexOf(layer(to))];
    if (layer(from) === 'mod' || layer(from) === 'index') return [];
    if (own < 0) return [`${from}: ${layer(from)} is no layer: the list is in scripts/layers.mjs`];
    return used > own ? [`${from}:${line} uses ${to}: ${layer(from)} stands above ${layer(to)}`] : [];
  });
}

/** Folders with too many files, and files with too many lines. */
function tooLarge(folder, ending) {
  const counts = new Map();
  const found = [];
  for (const file of filesOf(folder, ending)) {
    counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    const lines = read(file).split('\n').length - 1;
    if (lines > MAX_LINES) found.push(`${file} has ${lines} lines, ${MAX_LINES} are allowed`);
  }
  for (const [name, files] of counts) {
    if (files > MAX_FILES) found.push(`${name} has ${files} files, ${MAX_FILES} are allowed`);
  }
  return found;
}

/** The drawings of CONTRIBUTING.md against the code: the layers in their order, and the files of a call's way. */
export function drawingFaults(text) {
  const blockAfter = (heading) =>
    new RegExp(`## ${heading}\\n[\\s\\S]*?\`\`\`\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? '';
  const drawn = [...blockAfter('The layers').matchAll(/^ *src\/engine\/(\w+)/gm)].map(([, layer]) => layer);
  const found = [];
  if (drawn.join() !== ENGINE.join()) {
    found.push(
      `CONTRIBUTING.md draws the layers ${drawn.join(' ')}; in scripts/layers.mjs they are ${ENGINE.join(' ')}`,
    );
  }
  const way = [...blockAfter("A call's way").matchAll(/\bsrc\/[\w/.-]+\.(?:rs|js)\b/g)].map(([file]) => file);
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
  found.push(...reachingBack(engine, 'src/engine', ENGINE));
  for (const [place, edges] of [
    ['src/engine', withoutLists(engine)],
    ['src/binding', withoutLists(rustEdges('src/binding'))],
    ['src/js', scriptEdges('src/js')],
  ]) {
    const circle = circleOf(edges);
    if (circle) found.push(`${place} has a circle: ${circle.join(' uses ')}`);
  }
  for (const file of filesOf('src/engine', '.rs')) {
    if (/\bnapi\b/.test(read(file).replace(/\/\/[^\n]*/g, ''))) found.push(`${file} knows napi`);
  }
  for (const place of ['src/engine', 'src/binding']) found.push(...tooLarge(place, '.rs'));
  found.push(...drawingFaults(read('CONTRIBUTING.md')));
  return found;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = faults();
  for (const line of found) console.error(line);
  if (found.length > 0) process.exitCode = 1;
  else console.log(`${ENGINE.length} layers; no line reaches back, no circle`);
}
