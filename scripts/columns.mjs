// Owns the step `columns`: comments, Markdown and code have at most 120 columns, in every file that git tracks.
//
// `node scripts/columns.mjs` prints `file:line has N columns`. With `--fix` it first reflows the comments and the
// Markdown paragraphs that are too long; code is left to the formatters and to you. Names of files and folders as
// further arguments stand in place of the whole repository: `--fix src/engine`.
//
// Four kinds of lines may be longer, because nobody can break them:
// - rows of Markdown tables, and lines within ``` fences, in Markdown and in comments;
// - a single word, such as a URL, behind the marker of its comment or list;
// - lines of code without a comment that fit once their string, template and regex literals are left out;
// - directives of tools, which must stay in one line: `biome-ignore`, `@ts-expect-error`.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMain, root } from './command.mjs';

const MAX_COLUMNS = 120;
/** Prefixes of paths that programs write. */
const GENERATED = ['docs/benchmarks/'];

const SCRIPT = /\.[cm]?[jt]s$/;
const CHECKED = /\.(rs|[cm]?[jt]s|md|toml|yml)$/;
const DIRECTIVE = /^\s*(biome-ignore|@ts-|eslint-|prettier-ignore|c8 ignore|v8 ignore|# sourceMappingURL)/;
const FENCE = /^\s*(```|~~~)/;
const ITEM = /^(\s*)([-*+]|\d+[.)])\s+(?=\S)/;
/** A word in front of which no line may be broken: there it would begin a list, a heading, a table or a quotation. */
const BEGINS_A_BLOCK = /^([-*+=>|]|#+|\d+[.)]|@\w.*|\|.*|```.*|~~~.*)$/;

/** Comments and literals of JavaScript. A template may hold templates, and braces, one within the other. */
const SCRIPT_TOKENS = new RegExp(
  [
    String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`,
    String.raw`'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"`,
    '`(?:[^`\\\\$]|\\\\[\\s\\S]|\\$\\{(?:[^{}`]|\\{[^{}]*\\}|`(?:[^`\\\\]|\\\\[\\s\\S])*`)*\\}|\\$)*`',
    String.raw`(?<=(?:^|[(,=:[!&|?{};+]|=>|\breturn)\s*)\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*`,
  ].join('|'),
  'gm',
);
/** Comments and literals of Rust. A lifetime has no second apostrophe. */
const RUST_TOKENS =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|\br(#*)"[\s\S]*?"\1|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\\n]|\\(?:u\{[^}]*\}|x..|.))'/g;

const width = (text) => [...text].length;

/**
 * For each line of code: `inside`, whether it begins within a literal; `literal`, the columns of its literals;
 * `comment`, whether it has one.
 */
function linesOf(file, text) {
  const lines = text.split('\n').map((line) => ({ line, inside: false, literal: 0, comment: false }));
  const tokens = file.endsWith('.rs') ? RUST_TOKENS : SCRIPT.test(file) ? SCRIPT_TOKENS : /(?!)/g;
  let at = 0;
  let offset = 0;
  for (const token of text.matchAll(tokens)) {
    while (offset + lines[at].line.length < token.index) offset += lines[at++].line.length + 1;
    const comment = /^\/[/*]/.test(token[0]);
    token[0].split('\n').forEach((part, index) => {
      const line = lines[at + index];
      if (comment) line.comment = true;
      else line.literal += width(part);
      if (!comment && index > 0) line.inside = true;
    });
  }
  return lines;
}

/** The marker before the text of a full-line comment, with its indentation; '' in Markdown; null for code. */
function markerOf(file, { line, inside }) {
  if (file.endsWith('.md')) return '';
  if (inside) return null;
  if (/\.(toml|yml)$/.test(file)) return /^\s*#+ ?/.exec(line)?.[0] ?? null;
  return /^\s*(?:\/\/[/!]?(?!\/)|\/\*\*?(?=\s)|\*(?=\s|$))/.exec(line)?.[0] ?? null;
}

/** Whether a line may be as long as it is. `text`: what stands behind its marker. */
function mayBeLonger(entry, text) {
  if (entry.fenced || DIRECTIVE.test(text ?? '')) return true;
  if (text === null) return !entry.comment && width(entry.line) - entry.literal <= MAX_COLUMNS;
  return /^\s*\|/.test(text) || !/\s/.test(text.replace(ITEM, '').trim());
}

/** The lines of a file with their markers, and whether they stand within a fence. */
function entriesOf(file, text) {
  let fenced = false;
  return linesOf(file, text).map((entry) => {
    const marker = markerOf(file, entry);
    const content = marker === null ? null : entry.line.slice(marker.length);
    const fence = content !== null && FENCE.test(content);
    if (marker === null) fenced = false;
    const within = fenced || fence;
    if (fence) fenced = !fenced;
    return { ...entry, marker, content, fenced: within };
  });
}

/** The lines of a file that are too long, as { line, columns }. */
export function longLines(file, text) {
  return entriesOf(file, text).flatMap((entry, at) => {
    const columns = width(entry.line);
    return columns > MAX_COLUMNS && !mayBeLonger(entry, entry.content) ? [{ line: at + 1, columns }] : [];
  });
}

/** Fills lines with the words of a text; a `code span` of up to 60 characters counts as one word. */
function fill(first, rest, text) {
  const lines = [];
  let line = first;
  let empty = true;
  for (const word of text.match(/(?:`[^`]{1,60}`|\S)+/g) ?? []) {
    if (!empty && width(line) + 1 + width(word) > MAX_COLUMNS && !BEGINS_A_BLOCK.test(word)) {
      lines.push(line);
      [line, empty] = [rest, true];
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

/**
 * Where the paragraph that begins at `from` ends: at a blank line, at another marker, or where another block begins.
 */
function endOfParagraph(entries, from) {
  const indent = /^\s*/.exec(entries[from].content)[0].length;
  const item = ITEM.exec(entries[from].content)?.[0].length ?? (/^\s*@\w/.test(entries[from].content) ? 99 : 0);
  let end = from + 1;
  for (; end < entries.length; end++) {
    const { content, marker, fenced } = entries[end];
    if (marker !== entries[from].marker || fenced || /(\\| {2})$/.test(entries[end - 1].content)) break;
    // A type definition ends with its name; text may follow.
    if (/^\s*@typedef/.test(entries[from].content) && /\} \w+$/.test(entries[end - 1].content)) break;
    if (/^\s*($|[|>]|#+\s|<|@\w|\/$)/.test(content) || ITEM.test(content) || DIRECTIVE.test(content)) break;
    if (/\*\/\s*$/.test(content)) break;
    // What is indented by more than its paragraph is a drawing or code.
    if (/^\s*/.exec(content)[0].length > Math.max(indent, item)) break;
  }
  return end;
}

/** Whether a paragraph can begin with this line: it is text, and no table, heading, quotation, drawing or fence. */
function isText({ marker, content, fenced }, markdown) {
  if (marker === null || fenced || DIRECTIVE.test(content)) return false;
  if (/^\s*($|[|>]|#+\s|<)/.test(content) || (!markdown && /\*\/\s*$/.test(content))) return false;
  return ITEM.test(content) || /^\s*/.exec(content)[0].length <= (markdown ? 3 : 1);
}

/** A block comment of one line, as one of several. */
const opened = (text) =>
  text.replace(/^([ \t]*)\/\*\*? +(\S.*?) *\*\/ *$/gm, (line, indent, body) =>
    width(line) > MAX_COLUMNS && !body.includes('*/') ? `${indent}/**\n${indent} * ${body}\n${indent} */` : line,
  );

/** The text of a file with the paragraphs filled anew that have a line which is too long. */
export function reflow(file, text) {
  const markdown = file.endsWith('.md');
  const entries = entriesOf(file, SCRIPT.test(file) ? opened(text) : text);
  const lines = [];
  for (let at = 0; at < entries.length; ) {
    const end = isText(entries[at], markdown) ? endOfParagraph(entries, at) : at + 1;
    const paragraph = entries.slice(at, end);
    const tooLong = ({ line, content }) => width(line) > MAX_COLUMNS && !mayBeLonger(entries[at], content);
    if (!isText(entries[at], markdown) || !paragraph.some(tooLong)) {
      lines.push(...paragraph.map(({ line }) => line));
    } else {
      const { marker, content } = entries[at];
      const head = (ITEM.exec(content) ?? /^\s*/.exec(content))[0];
      const indent = /^\s*@\w/.test(content)
        ? (/^\s*/.exec(paragraph[1]?.content ?? ' ')[0] ?? ' ')
        : head.replace(/\S/g, ' ');
      const words = paragraph.map((entry) => entry.content.trim()).join(' ');
      const broken = /(\\| {2})$/.exec(paragraph.at(-1).content)?.[0] ?? '';
      const filled = fill(marker + head, marker + indent, words.slice(head.trim().length));
      filled[filled.length - 1] += broken === '\\' ? '' : broken;
      lines.push(...filled);
    }
    at = end;
  }
  return lines.join('\n');
}

/** The tracked files below the given names, or all of them, but for those that programs write. */
function filesOf(names) {
  // A checkout that another user owns, as in a container, is fine here: nothing of it is run.
  const git = ['-c', 'safe.directory=*', 'ls-files', '-z', '--', ...names];
  const tracked = execFileSync('git', git, { cwd: root, encoding: 'utf8' }).split('\0');
  return tracked.filter(
    (file) =>
      CHECKED.test(file) && existsSync(join(root, file)) && !GENERATED.some((prefix) => file.startsWith(prefix)),
  );
}

function main(args) {
  const files = filesOf(args.filter((name) => name !== '--fix'));
  const found = files.flatMap((file) => {
    const path = join(root, file);
    const text = readFileSync(path, 'utf8');
    const fixed = args.includes('--fix') ? reflow(file, text) : text;
    if (fixed !== text) writeFileSync(path, fixed);
    return longLines(file, fixed).map(({ line, columns }) => `${file}:${line} has ${columns} columns`);
  });
  for (const line of found) console.error(line);
  if (found.length > 0) process.exitCode = 1;
  else console.log(`${files.length} files; no line is beyond ${MAX_COLUMNS} columns`);
}

if (isMain(import.meta.url)) main(process.argv.slice(2));
