// Owns the Linux binaries that are published: built against an old C library, checked by what the binary says of
// itself.
//
// A binary runs where the C library is at least as new as the newest symbol version that it needs. A plain build takes
// the versions of the machine that it is made on; zig links against the lists of an old glibc instead, on any machine,
// without a container. What depends on the place of a build (paths in panic messages) is mapped away, so that two
// builds of one commit are the same bytes.

import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMain, root, run, runCommand, SetupError } from '../command.mjs';
import { compareVersions, newest, readElf } from './elf.mjs';

export const output = join(root, 'target/portable');

const GLIBC = [2, 17];
const MAX_BYTES = 5 * 1024 * 1024;
// rustc gives a cdylib a version script that keeps every other symbol local, those of the C sources included; no link
// argument is needed.
const EXPORTED = ['napi_register_module_v1'];
// Parts of the C library itself. Anything else would have to be on the user's machine: libgcc_s and libatomic are not,
// in slim images.
const LIBRARIES = {
  gnu: /^(ld-linux.*|libc|libm|libdl|libpthread|librt)\.so\.\d+$/,
  musl: /^(libc|libc\.musl-\w+|ld-musl-\w+)\.so(\.\d+)?$/,
};

const targets = {
  'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
  'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
  'x86_64-unknown-linux-musl': 'linux-x64-musl',
  'aarch64-unknown-linux-musl': 'linux-arm64-musl',
};

const usage = `npm run build:portable [-- options]
  --target TRIPLE   ${Object.keys(targets).join(', ')}; the first by default
  --check FILE      check a binary that is there and build nothing
  --reproduce       build a second time, in another folder, and compare`;

/** Everything that is wrong with a binary, as sentences; none where it may be published. */
export function faults(file) {
  const abi = /musl/.test(basename(file)) ? 'musl' : 'gnu';
  const { needed, versions, exported } = readElf(file);
  const glibc = newest(versions, 'GLIBC');
  const bytes = statSync(file).size;
  const found = [];
  if (abi === 'gnu' && glibc && compareVersions(glibc, GLIBC) > 0) {
    found.push(`it needs glibc ${glibc.join('.')}, the baseline is ${GLIBC.join('.')}`);
  }
  if (abi === 'musl' && glibc) found.push('it needs glibc');
  const foreign = needed.filter((library) => !LIBRARIES[abi].test(library));
  if (foreign.length > 0) found.push(`it needs ${foreign.join(', ')}`);
  if (exported.join() !== EXPORTED.join()) found.push(`it exports ${exported.join(', ') || 'nothing'}`);
  if (bytes > MAX_BYTES) found.push(`it has ${bytes} bytes, ${MAX_BYTES} are allowed`);
  return found;
}

function describe(file) {
  const { needed, versions, exported } = readElf(file);
  const glibc = newest(versions, 'GLIBC');
  return [
    file,
    `  size     ${statSync(file).size} bytes`,
    `  glibc    ${glibc ? glibc.join('.') : 'not needed'}`,
    `  needs    ${needed.join(', ')}`,
    `  exports  ${exported.join(', ')}`,
    `  sha256   ${sha256(file)}`,
  ].join('\n');
}

function check(file) {
  console.log(describe(file));
  const found = faults(file);
  if (found.length > 0) throw new SetupError(`${basename(file)} is not portable: ${found.join('; ')}`);
}

/** zig and cargo-zigbuild, in the versions that the requirements pin by their hashes. Resolves to their folder. */
function installTools() {
  const requirements = join(root, 'scripts/package/portable.requirements.txt');
  const tools = join(output, 'tools');
  const marker = join(tools, 'requirements.txt');
  if (!existsSync(marker) || readFileSync(marker, 'utf8') !== readFileSync(requirements, 'utf8')) {
    rmSync(tools, { recursive: true, force: true });
    run(['python3', '-m', 'venv', tools], 'python3 with its venv module is needed');
    run(
      [join(tools, 'bin/pip'), 'install', '--quiet', '--require-hashes', '--requirement', requirements],
      'pip failed',
    );
    copyFileSync(requirements, marker);
  }
  return join(tools, 'bin');
}

function build(target, source, targetDir) {
  const abi = target.endsWith('musl') ? 'musl' : 'gnu';
  const remap = [
    [process.env.CARGO_HOME ?? join(homedir(), '.cargo'), '/cargo'],
    [source.replace(/\/$/, ''), '/holdfast'],
  ];
  const rustflags = remap.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  const mapped = remap.map(([from, to]) => `-ffile-prefix-map=${from}=${to}`).join(' ');
  // A library that Node loads shares Node's C library; Rust would link musl into it.
  if (abi === 'musl') rustflags.push('-Ctarget-feature=-crt-static');
  run(
    [
      'cargo',
      'zigbuild',
      '--locked',
      '--release',
      '--lib',
      '--target-dir',
      targetDir,
      '--target',
      abi === 'gnu' ? `${target}.${GLIBC.join('.')}` : target,
    ],
    'the portable build failed',
    {
      cwd: source,
      env: {
        ...process.env,
        PATH: `${installTools()}:${process.env.PATH}`,
        CARGO_ENCODED_RUSTFLAGS: rustflags.join('\x1f'),
        // Beside CFLAGS, which .cargo/config.toml sets.
        HOST_CFLAGS: mapped,
        TARGET_CFLAGS: mapped,
        CARGO_INCREMENTAL: '0',
        SOURCE_DATE_EPOCH: '0',
      },
    },
  );
  return join(targetDir, target, 'release/libholdfast.so');
}

/** A copy of all that the binary is made of, in a folder of another name and depth. */
function copySources() {
  const source = join(mkdtempSync(join(output, 'again-')), 'holdfast');
  mkdirSync(source);
  for (const part of ['.cargo', 'Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'sim']) {
    cpSync(join(root, part), join(source, part), { recursive: true });
  }
  return source;
}

function reproduce(target, first, source) {
  const second = build(target, source, join(source, 'target'));
  if (sha256(first) !== sha256(second)) throw new SetupError(`two builds differ: ${first}, ${second}`);
  rmSync(join(source, '..'), { recursive: true });
  console.log(`built twice, in ${root} and ${source}: the same bytes, sha256 ${sha256(first)}`);
}

export function sha256(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function main() {
  const { values } = parseArgs({
    options: {
      target: { type: 'string', default: Object.keys(targets)[0] },
      check: { type: 'string' },
      reproduce: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return console.log(usage);
  if (values.check) return check(values.check);
  if (!targets[values.target]) throw new SetupError(`no target is called ${values.target}\n\n${usage}`);

  mkdirSync(output, { recursive: true });
  const file = join(output, `holdfast.${targets[values.target]}.node`);
  // Copied first: the sources may change while the first build runs.
  const copy = values.reproduce ? copySources() : null;
  copyFileSync(build(values.target, root, output), file);
  check(file);
  if (copy) reproduce(values.target, file, copy);
}

if (isMain(import.meta.url)) await runCommand('holdfast', main);
