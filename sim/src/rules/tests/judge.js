// Owns the other half of the test `alike`: judges each history of its input, one `{ plan, raw }` a line, by the rules
// of the checker on real servers, and prints what it found: guarantees, and the numbers of the calls.
'use strict';

const { createInterface } = require('node:readline');
const { check } = require('../../../../check/judge/model');

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    const { plan, raw } = JSON.parse(line);
    const found = check(plan, raw);
    const at = new Map(raw.ops.map((op, i) => [op, i]));
    console.log(
      JSON.stringify(found.map(({ guarantee, text, calls }) => [guarantee, calls.map((op) => at.get(op)), text])),
    );
  }
}

main();
