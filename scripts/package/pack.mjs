// Owns what is published: stages the main package and one per platform under target/packages, and packs them with sums
// and an SBOM of both sides.
//
// The manifests of the platforms come from `napi.targets` of package.json, and only the staged main package names them
// as optional dependencies: a checkout builds its own binary, and its lockfile must not wait for packages that the
// release is about to publish.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bin, has, isMain, readJson, root, runCommand, SetupError } from '../command.mjs';
import { licencesOf } from './licences.mjs';
import { faults, output as portable, sha256 } from './portable.mjs';

export const packages = join(root, 'target/packages');

const LICENCES = 'THIRD-PARTY-LICENCES.txt';

const usage = `npm run pack:all [-- options]
  --binaries DIR   where holdfast.PLATFORM.node are; target/portable by default
  --release        fail unless there is a binary for every platform, and write the SBOM`;

/**
 * Stages all packages; resolves to their folders, the platforms first: the main package is published when its parts are
 * there.
 */
export function stage({ binaries = portable, release = false } = {}) {
  const manifest = readJson(join(root, 'package.json'));
  if (release && !has('cargo')) throw new SetupError('cargo missing: a release ships the licences of its crates');
  rmSync(packages, { recursive: true, force: true });
  mkdirSync(packages, { recursive: true });
  execFileSync(bin('napi'), ['create-npm-dirs', '--npm-dir', 'target/packages'], { cwd: root, stdio: 'pipe' });

  const platforms = readdirSync(packages).sort();
  if (platforms.length !== manifest.napi.targets.length) throw new SetupError('not every target has a package');
  const missing = platforms.filter((platform) => !stagePlatform(platform, binaries, manifest));
  if (missing.length > 0 && release) throw new SetupError(`no binary for ${missing.join(', ')} in ${binaries}`);
  stageMain(platforms, manifest);
  return { folders: [...platforms, manifest.name].map((name) => join(packages, name)), missing };
}

/**
 * False where there is no binary: the package is then staged empty, which the install test wants and a release refuses.
 */
function stagePlatform(platform, binaries, main) {
  const folder = join(packages, platform);
  const file = join(folder, 'package.json');
  const manifest = readJson(file);
  const { repository } = main;
  // npm links a package to the build that made it only where both name the same repository.
  writeJson(file, { ...manifest, ...(repository && { repository }), files: [...manifest.files, LICENCES] });
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  if (!existsSync(join(binaries, manifest.main))) return false;

  const binary = join(folder, manifest.main);
  cpSync(join(binaries, manifest.main), binary);
  const found = platform.startsWith('linux') ? faults(binary) : [];
  if (found.length > 0) throw new SetupError(`${basename(binary)} is not portable: ${found.join('; ')}`);
  // The install test may run where there is no Rust; a release does not.
  if (has('cargo')) writeFileSync(join(folder, LICENCES), licencesOf(tripleOf(platform, main.napi.targets)));
  return true;
}

function tripleOf(platform, targets) {
  const [system, cpu, abi = ''] = platform.split('-');
  const names = { linux: 'linux', darwin: 'darwin', win32: 'windows', x64: 'x86_64', arm64: 'aarch64' };
  return targets.find((each) => each.startsWith(names[cpu]) && each.includes(names[system]) && each.endsWith(abi));
}

function stageMain(platforms, manifest) {
  const folder = join(packages, manifest.name);
  mkdirSync(folder);
  for (const part of manifest.files) cpSync(join(root, part), join(folder, part), { recursive: true });
  const { scripts, devDependencies, napi, ...published } = manifest;
  const optionalDependencies = Object.fromEntries(
    platforms.map((platform) => [`${manifest.name}-${platform}`, manifest.version]),
  );
  writeJson(join(folder, 'package.json'), { ...published, optionalDependencies });
}

function pack(folders) {
  for (const folder of folders) {
    execFileSync('npm', ['pack', '--pack-destination', packages, '--loglevel', 'error'], {
      cwd: folder,
      stdio: 'inherit',
    });
  }
}

/** What is inside, in CycloneDX: the JavaScript side by npm, the Rust side by cargo-cyclonedx. */
function writeSboms() {
  const npm = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'];
  writeFileSync(join(packages, 'holdfast-npm.cdx.json'), execFileSync('npm', npm, { cwd: root }));
  if (!has('cargo-cyclonedx')) throw new SetupError('cargo-cyclonedx missing: cargo install --locked cargo-cyclonedx');
  const name = 'holdfast-cargo.cdx';
  const cargo = ['cyclonedx', '--format', 'json', '--override-filename', name];
  execFileSync('cargo', cargo, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const made = join(root, `${name}.json`);
  // The place of this checkout is nobody's business.
  const text = readFileSync(made, 'utf8').replaceAll(`file://${root.replace(/\/$/, '')}`, 'file:///holdfast');
  writeFileSync(join(packages, `${name}.json`), text);
  rmSync(made);
}

function writeSums() {
  const files = readdirSync(packages).filter((name) => /\.(tgz|json)$/.test(name));
  const lines = files.sort().map((name) => `${sha256(join(packages, name))}  ${name}\n`);
  writeFileSync(join(packages, 'SHA256SUMS'), lines.join(''));
  process.stdout.write(lines.join(''));
}

function writeJson(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

function main() {
  const { values } = parseArgs({
    options: {
      binaries: { type: 'string' },
      release: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const { folders, missing } = stage(values);
  if (missing.length > 0) console.log(`packed without a binary: ${missing.join(', ')}`);
  pack(folders);
  if (values.release) writeSboms();
  writeSums();
}

if (isMain(import.meta.url)) await runCommand('holdfast', main);
