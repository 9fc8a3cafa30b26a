// Owns the licences of the code inside the binary: every crate that is linked into it, with the texts that its package
// carries.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { root } from '../command.mjs';

// In a crate's folder or, for C sources that it brings along (zstd, BoringSSL), below it.
const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense)([-._].*)?$/i;
const PROGRAM = /\.(rs|c|h|js|py)$/;

/** One text for a package of this Rust target: who is inside, under which licence, and each licence text once. */
export function licencesOf(target) {
  const texts = new Map();
  const lines = linkedCrates(target).map((crate) => {
    const marks = licenceFiles(dirname(crate.manifest_path)).map((file) => {
      const text = readFileSync(file, 'utf8').trim();
      const key = createHash('sha256').update(text.replace(/\s+/g, ' ')).digest('hex');
      if (!texts.has(key)) texts.set(key, { number: texts.size + 1, text });
      return texts.get(key).number;
    });
    const authors = crate.authors.map((author) => author.replace(/\s*<.*>/, ''));
    const by = authors.length > 0 ? `, by ${authors.join(', ')}` : '';
    const where =
      marks.length > 0 ? `texts ${[...new Set(marks)].join(', ')}` : `no text in the package: ${crate.repository}`;
    return `${crate.name} ${crate.version}: ${crate.license}${by}; ${where}`;
  });
  const head =
    'The native binary of Holdfast contains the following third-party code,\n' +
    'and the Rust standard library, by The Rust Project Developers: MIT OR Apache-2.0.';
  const body = [...texts.values()].map(({ number, text }) => `${'-'.repeat(80)}\nText ${number}\n\n${text}`);
  return `${[head, lines.join('\n'), ...body].join('\n\n')}\n`;
}

/** The crates that the library depends on at run time; what only builds or tests it is not inside. */
function linkedCrates(target) {
  const metadata = JSON.parse(
    execFileSync('cargo', ['metadata', '--format-version', '1', '--locked', '--filter-platform', target], {
      cwd: root,
      maxBuffer: 64 * 1024 * 1024,
      encoding: 'utf8',
    }),
  );
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const found = new Set();
  const visit = (id) => {
    if (found.has(id)) return;
    found.add(id);
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (kinds.some(({ kind }) => kind === null)) visit(pkg);
    }
  };
  visit(metadata.resolve.root);
  found.delete(metadata.resolve.root);
  return metadata.packages
    .filter(({ id }) => found.has(id))
    .sort((a, b) => (a.name === b.name ? (a.version < b.version ? -1 : 1) : a.name < b.name ? -1 : 1));
}

function licenceFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name) && !PROGRAM.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.slice(folder.length).split(sep).includes('tests'))
    .sort();
}
