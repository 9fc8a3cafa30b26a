// The native binary of each platform, by literal names: what traces or bundles an application (@vercel/nft, esbuild,
// webpack) runs nothing, and finds only what a `require` says in so many words; what is within `try` may be missing.
// Each platform has two: the one built in this checkout, and its package.
// @ts-nocheck: no machine has them all.
'use strict';

/**
 * The native addon; or, from a bundler that copies files, where its file is.
 * @param {string} target platform, architecture and C library, as the packages are named
 * @param {(error: unknown) => void} failed told of what did not load
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
