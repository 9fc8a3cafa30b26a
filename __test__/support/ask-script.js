// Asks a module of scripts/ in a process of its own: Jest's own `import` needs a flag.
'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { ROOT } = require('./holdfast');

/** For a file of scripts/: `ask(name, ...args)` is what its function of that name returns, or its constant. */
function askerOf(file) {
  const url = JSON.stringify(pathToFileURL(path.join(ROOT, 'scripts', file)));
  return (name, ...args) => {
    const source = `const { ${name}: it } = await import(${url});
      console.log(JSON.stringify((typeof it === 'function' ? it(...${JSON.stringify(args)}) : it) ?? null));`;
    return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' }));
  };
}

module.exports = { askerOf };
