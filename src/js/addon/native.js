// Loads the native addon: the one built in this checkout, or the package of this platform. Where there is neither, the
// error says what to do.
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { HoldfastError } = require('../base/errors.js');
const { requireBinary } = require('./binaries.js');

function load() {
  const { platform, arch } = process;
  // Linux has two C libraries: the binary that loads is the right one.
  const abis = platform === 'linux' ? ['-gnu', '-musl'] : platform === 'win32' ? ['-msvc'] : [''];
  /** @type {unknown} */
  let failure = null;
  /** @param {unknown} error */
  const failed = (error) => {
    // The error of a binary that does not load says more than that of a missing one.
    const missing = /** @type {NodeJS.ErrnoException} */ (error).code === 'MODULE_NOT_FOUND';
    failure = missing ? (failure ?? error) : error;
  };
  for (const abi of abis) {
    const binary = requireBinary(`${platform}-${arch}${abi}`, failed);
    try {
      if (binary !== undefined) return typeof binary === 'string' ? open(binary) : binary;
    } catch (error) {
      failed(error);
    }
  }
  throw new HoldfastError('ERR_NATIVE_BINARY', `holdfast has no native binary: ${explain(failure)}`, {
    cause: failure,
  });
}

/**
 * Loads the file that a bundler copied beside its bundle.
 * @param {string} file
 */
function open(file) {
  const addon = { exports: {} };
  process.dlopen(addon, path.resolve(__dirname, file));
  return addon.exports;
}

/** @param {unknown} failure */
function explain(failure) {
  // By its literal name, so that bundlers include it. tsc reads no JSON here.
  // @ts-expect-error
  const { version, optionalDependencies } = require('../../../package.json');
  const wanted = `holdfast-${process.platform}-${process.arch}${abiOfThisProcess()}`;
  // In a bundle this file has another name.
  if (!fs.existsSync(path.join(__dirname, 'native.js'))) {
    return (
      `this is a bundle without the one for ${wanted}; keep holdfast external, or let the bundler copy .node files ` +
      `(docs/installing.md). ${message(failure)}`
    );
  }
  // Only the published package.json names the packages: this is a checkout.
  if (!optionalDependencies) {
    return `this checkout has none that loads for ${wanted}; run \`npm run build\` (needs Rust). ${message(failure)}`;
  }

  const packages = Object.keys(optionalDependencies);
  if (!packages.includes(wanted)) {
    return `none is published for ${wanted}, only for ${packages.join(', ')}; elsewhere build it from source (needs Rust)`;
  }
  if (isInstalled(wanted)) return `${wanted} is installed and does not load. ${message(failure)}`;

  const others = packages.filter(isInstalled);
  const reason =
    others.length > 0
      ? `node_modules has ${others.join(', ')}, so it was installed on another system and copied here (a build stage on Debian and a ` +
        'final image on Alpine, a laptop and a container). Install in the image that runs'
      : 'optional dependencies were left out (`--no-optional`, `--omit=optional`), or a lockfile from another system does not list it. ' +
        'Remove node_modules and install with optional dependencies, if need be without the lockfile';
  return `${wanted} is not installed. ${reason}; or name it: \`npm install ${wanted}@${version}\``;
}

function abiOfThisProcess() {
  if (process.platform === 'win32') return '-msvc';
  if (process.platform !== 'linux') return '';
  // The report takes milliseconds, so it is made only after no binary has loaded.
  const { header } = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report?.getReport?.() ?? {});
  return header && !header.glibcVersionRuntime ? '-musl' : '-gnu';
}

/** @param {string} name */
function isInstalled(name) {
  try {
    // Not `require.resolve`: a bundler would warn of a name that is no literal.
    createRequire(__filename).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** @param {unknown} failure */
function message(failure) {
  // The first line: in a MODULE_NOT_FOUND the chain of requiring files follows it.
  const { message: text } = /** @type {{ message?: unknown }} */ (failure ?? {});
  return typeof text === 'string' ? text.split('\n', 1)[0] : String(failure);
}

module.exports = load();
