// Owns what the checks of a Linux binary read from it: the libraries and the symbol versions that it needs, the symbols
// that it exports. A reader of our own, and not readelf: it works where no binutils are, and on binaries of another
// architecture.

import { readFileSync } from 'node:fs';

const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const DT_NEEDED = 1n;
const SHN_UNDEF = 0;
const STB_LOCAL = 0;

/**
 * @returns {{ needed: string[], versions: string[], exported: string[] }} names as the dynamic linker sees them, sorted
 */
export function readElf(path) {
  const file = readFileSync(path);
  // 64 bits, little-endian: all that Holdfast is built for.
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new Error(`${path} is no 64-bit ELF`);
  const sections = readSections(file);
  const all = (type, read) =>
    sections.filter((section) => section.type === type).flatMap((section) => [...read(file, section, sections)]);
  return {
    needed: all(SHT_DYNAMIC, neededLibraries).sort(),
    versions: [...new Set(all(SHT_GNU_VERNEED, neededVersions))].sort(),
    exported: all(SHT_DYNSYM, exportedSymbols).sort(),
  };
}

/** The newest of these versions of a library (`GLIBC_2.2.5`) as [2, 2, 5]; null where none is needed. */
export function newest(versions, library) {
  const found = versions
    .filter((version) => version.startsWith(`${library}_`))
    .map((version) =>
      version
        .slice(library.length + 1)
        .split('.')
        .map(Number),
    );
  return found.sort(compareVersions).at(-1) ?? null;
}

export function compareVersions(a, b) {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function readSections(file) {
  const start = Number(file.readBigUInt64LE(0x28));
  const size = file.readUInt16LE(0x3a);
  const count = file.readUInt16LE(0x3c);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      size: Number(file.readBigUInt64LE(at + 0x20)),
      link: file.readUInt32LE(at + 0x28),
      entries: file.readUInt32LE(at + 0x2c),
    };
  });
}

function* neededLibraries(file, section, sections) {
  for (let at = section.offset; at < section.offset + section.size; at += 16) {
    if (file.readBigUInt64LE(at) === DT_NEEDED) {
      yield text(file, sections[section.link], Number(file.readBigUInt64LE(at + 8)));
    }
  }
}

/** A list of libraries, each with a list of the versions wanted of it; both are chained by offsets. */
function* neededVersions(file, section, sections) {
  let library = section.offset;
  for (let i = 0; i < section.entries; i++) {
    let version = library + file.readUInt32LE(library + 8);
    for (let left = file.readUInt16LE(library + 2); left > 0; left--) {
      yield text(file, sections[section.link], file.readUInt32LE(version + 8));
      version += file.readUInt32LE(version + 12);
    }
    library += file.readUInt32LE(library + 12);
  }
}

function* exportedSymbols(file, section, sections) {
  for (let at = section.offset; at < section.offset + section.size; at += 24) {
    const binding = file[at + 4] >> 4;
    if (binding !== STB_LOCAL && file.readUInt16LE(at + 6) !== SHN_UNDEF) {
      yield text(file, sections[section.link], file.readUInt32LE(at));
    }
  }
}

function text(file, strings, offset) {
  const start = strings.offset + offset;
  return file.toString('latin1', start, file.indexOf(0, start));
}
