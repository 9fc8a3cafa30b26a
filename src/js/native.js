// Loads the native addon: the one built in this checkout, or the package of this platform.
'use strict';

const { HoldfastError } = require('./errors');

function load() {
  const { platform, arch } = process;
  // Linux has two C libraries; whichever of the two binaries loads is the right one.
  const abis = platform === 'linux' ? ['-gnu', '-musl'] : platform === 'win32' ? ['-msvc'] : [''];
  /** @type {unknown} */
  let failure;
  for (const abi of abis) {
    for (const name of [`../../holdfast.${platform}-${arch}${abi}.node`, `holdfast-${platform}-${arch}${abi}`]) {
      try {
        return require(name);
      } catch (error) {
        // A binary that is there and does not load says more than one that is not there.
        const missing = /** @type {NodeJS.ErrnoException} */ (error).code === 'MODULE_NOT_FOUND';
        failure = missing ? (failure ?? error) : error;
      }
    }
  }
  throw new HoldfastError(
    'ERR_NATIVE_BINARY',
    `holdfast has no native binary for ${platform}-${arch}: install its optional dependencies (without --no-optional, on this ` +
      'system and not from another one), or run `npm run build` in a checkout (needs Rust)',
    { cause: failure },
  );
}

module.exports = load();
