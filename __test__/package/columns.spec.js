// The check of the columns (scripts/columns.mjs): it finds lines that are too long, and reflows comments and Markdown.
'use strict';

const { askerOf } = require('../support/ask-script');

const ask = askerOf('columns.mjs');
const words = (count) => Array.from({ length: count }, () => 'word').join(' ');
const LONG = words(30);
const LONG_WORD = 'x'.repeat(150);

test.each([
  ['a comment of Rust', 'a.rs', `/// ${LONG}`],
  ['a comment of JavaScript', 'a.js', `  // ${LONG}`],
  ['a comment behind code', 'a.js', `call('${LONG}'); // why`],
  ['a line of a block comment', 'a.d.ts', `/**\n * ${LONG}\n */`],
  ['a paragraph of Markdown', 'a.md', LONG],
  ['an item of a list', 'a.md', `- ${LONG}`],
  ['code', 'a.rs', `let sum = ${Array(60).fill('a').join(' + ')};`],
])('%s that is too long is found', (_, file, text) => {
  const line = text.startsWith('/**\n') ? 2 : 1;
  expect(ask('longLines', file, text)).toEqual([{ line, columns: [...text.split('\n')[line - 1]].length }]);
});

test.each([
  ['120 columns', 'a.md', `${words(23)} words`],
  ['a row of a table', 'a.md', `| ${LONG} |`],
  ['a line within a fence', 'a.md', `\`\`\`\n${LONG}\n\`\`\``],
  ['a single word', 'a.md', `- https://${LONG_WORD}`],
  ['a single word of a comment', 'a.rs', `//! https://${LONG_WORD}`],
  ['a string', 'a.js', `call('${LONG}');`],
  ['a line of a template', 'a.js', `call(\`\n// ${LONG}\n\`);`],
  ['a line of a raw string', 'a.rs', `let text = r#"\n// "${LONG}"\n"#;`],
  ['a directive', 'a.js', `// biome-ignore lint/a/b: ${LONG}`],
])('%s passes', (_, file, text) => {
  expect(ask('longLines', file, text)).toEqual([]);
});

test('a paragraph is filled anew; its neighbours stay as they are, drawings and code too', () => {
  const kept = [
    '//! # Heading',
    '//!',
    '//! short',
    '//!',
    '//! ```',
    `//! ${LONG}`,
    '//! ```',
    '//!',
    '//!     a  ─►  b',
  ];
  const text = [...kept, '//!', `//! 1. ${LONG}`, '//!    and `a code span` behind it', '//! 2. short', 'fn code() {}'];
  const reflowed = ask('reflow', 'a.rs', text.join('\n')).split('\n');
  expect(reflowed).toEqual([
    ...kept,
    '//!',
    `//! 1. ${words(22)}`,
    `//!    ${words(8)} and \`a code span\` behind it`,
    '//! 2. short',
    'fn code() {}',
  ]);
  expect(ask('longLines', 'a.rs', reflowed.join('\n')).map(({ line }) => line)).toEqual([]);
  expect(ask('reflow', 'a.rs', reflowed.join('\n')).split('\n')).toEqual(reflowed);
});

test('a block comment of one line becomes one of several', () => {
  const reflowed = ask('reflow', 'a.js', `x();\n\n  /** ${LONG} */\n  function f() {}`);
  expect(reflowed).toBe(`x();\n\n  /**\n   * ${words(23)}\n   * ${words(7)}\n   */\n  function f() {}`);
});

test('code and text in strings are never reflowed', () => {
  const text = `call('${LONG}');\nconst script = \`\n// ${LONG}\n\`;`;
  expect(ask('reflow', 'a.js', text)).toBe(text);
});
