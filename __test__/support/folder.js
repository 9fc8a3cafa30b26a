// Temporary folders of the tests.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** A new folder, named by what it is for; `remove()` deletes it with all that it holds. */
function makeFolder(purpose) {
  // The real path: tracers and bundlers name files by it.
  const dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), `holdfast-${purpose}-`)));
  return { dir, remove: () => fs.rmSync(dir, { recursive: true, force: true }) };
}

module.exports = { makeFolder };
