// The native binary of each platform, by literal names: tools that trace or bundle an application (@vercel/nft,
// esbuild, webpack) run no code and find only a `require` of a literal; a `require` within `try` may fail. Each
// platform has two: the binary built in this checkout, and the platform's package.
// @ts-nocheck: no machine has all binaries.
'use strict';

/**
 * The native addon; or, where a bundler copied the file, its path.
 * @param {string} target platform, architecture and C library, as the packages are named
 * @param {(error: unknown) => void} failed is called with the error of each that did not load
 * @returns {any} undefined where nothing loads
 */
function requireBinary(target, failed) {
  switch (target) {
    case 'linux-x64-gnu':
      try {
        return require('../../../holdfast.linux-x64-gnu.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-linux-x64-gnu');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'linux-x64-musl':
      try {
        return require('../../../holdfast.linux-x64-musl.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-linux-x64-musl');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'linux-arm64-gnu':
      try {
        return require('../../../holdfast.linux-arm64-gnu.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-linux-arm64-gnu');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'linux-arm64-musl':
      try {
        return require('../../../holdfast.linux-arm64-musl.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-linux-arm64-musl');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'darwin-x64':
      try {
        return require('../../../holdfast.darwin-x64.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-darwin-x64');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'darwin-arm64':
      try {
        return require('../../../holdfast.darwin-arm64.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-darwin-arm64');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'win32-x64-msvc':
      try {
        return require('../../../holdfast.win32-x64-msvc.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-win32-x64-msvc');
      } catch (error) {
        failed(error);
      }
      return undefined;
    case 'win32-arm64-msvc':
      try {
        return require('../../../holdfast.win32-arm64-msvc.node');
      } catch (error) {
        failed(error);
      }
      try {
        return require('holdfast-win32-arm64-msvc');
      } catch (error) {
        failed(error);
      }
      return undefined;
    default:
      failed(new Error(`there is no binary for ${target}`));
      return undefined;
  }
}

module.exports = { requireBinary };
