//! Names of JSON objects, which a store holds once and not in each value.
//!
//! Values of one kind differ in their numbers and strings; `{"tenant":`, `,"period":"` and what else lies between these
//! is the same in each, and half of a small value. Such a piece that came [`OFTEN`] times gets a code of two bytes,
//! whose first is one that no JSON text has. Packing replaces bytes by others and back, so a text comes out as it went
//! in, whatever it is; a text with a byte of a code is left alone.
//!
//! **The limits.** Pieces stay until the store is empty: values have their codes. Once the room for them is full,
//! values of further kinds are not packed. *Rejected: compression with a dictionary*: zstd takes some microseconds for
//! a value of 200 bytes, and a hit is to take a fraction of one.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::engine::base::heap;
use crate::engine::store::Hasher;

/// The first byte of a code.
const FIRST: u8 = 0x0E;
const LAST: u8 = 0x1F;
const CODES: usize = (LAST - FIRST + 1) as usize * 256;
/// Pieces have so many bytes, at least and at most.
const SHORT: usize = 4;
const LONG: usize = 255;
/// A piece gets its code when it comes so many times.
const OFTEN: u32 = 4;
/// Bytes of a piece beside its text, at most, where the lists have just grown.
const PIECE: usize = 96;
/// The most bytes of all pieces.
const MOST: usize = 256 << 10;

pub struct Names {
    pieces: Vec<Box<[u8]>>,
    codes: HashTable<u16>,
    /// How often pieces without a code came: 24 bits of a hash, and a count. A newer one takes the place of an older.
    seen: Vec<u32>,
    /// Bytes of the pieces, and how many they may be.
    bytes: usize,
    room: usize,
}

fn is_code(byte: &u8) -> bool {
    (FIRST..=LAST).contains(byte)
}

impl Names {
    /// `room`: bytes that it may take.
    pub fn new(room: usize) -> Self {
        Self { pieces: Vec::new(), codes: HashTable::new(), seen: Vec::new(), bytes: 0, room: room.min(MOST) }
    }

    /// Appends the text with codes to `out`. False where that is no shorter, or cannot be.
    pub fn pack(&mut self, text: &[u8], hasher: &Hasher, out: &mut Vec<u8>) -> bool {
        // No JSON has such a byte.
        if text.iter().any(is_code) {
            return false;
        }
        let start = out.len();
        let (mut at, mut piece, mut named) = (0, 0, false);
        while let Some(&byte) = text.get(at) {
            let leaf = match byte {
                b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                    at += 1;
                    continue;
                }
                b'"' => {
                    let end = string_end(text, at + 1);
                    if text.get(end + 1) == Some(&b':') {
                        named = true;
                        at = end + 2;
                        continue;
                    }
                    // The quotes are of the pieces around it.
                    at += 1;
                    at..end
                }
                _ => at..text[at..].iter().position(|b| matches!(b, b',' | b']' | b'}')).map_or(text.len(), |n| at + n),
            };
            self.put(&text[piece..leaf.start], named, hasher, out);
            let Some(bytes) = text.get(leaf.clone()) else { return false };
            out.extend_from_slice(bytes);
            (at, piece, named) = (leaf.end + usize::from(byte == b'"'), leaf.end, false);
        }
        self.put(text.get(piece..).unwrap_or_default(), named, hasher, out);
        out.len() - start < text.len() && !self.pieces.is_empty()
    }

    fn put(&mut self, piece: &[u8], named: bool, hasher: &Hasher, out: &mut Vec<u8>) {
        let code = if named && (SHORT..=LONG).contains(&piece.len()) { self.code(piece, hasher) } else { None };
        match code {
            Some(code) => out.extend_from_slice(&[FIRST + (code >> 8) as u8, code as u8]),
            None => out.extend_from_slice(piece),
        }
    }

    /// The code of a piece; of a new one, where it came often enough.
    fn code(&mut self, piece: &[u8], hasher: &Hasher) -> Option<u16> {
        let hash = hasher.hash_one(piece);
        if let Some(&code) = self.codes.find(hash, |&code| *self.pieces[code as usize] == *piece) {
            return Some(code);
        }
        if self.pieces.len() == CODES || self.bytes + piece.len() + (self.pieces.len() + 1) * PIECE > self.room * 3 / 4
        {
            return None;
        }
        if self.seen.is_empty() {
            self.seen = vec![0; (self.room / 16).next_power_of_two().clamp(64, 4096)];
        }
        let (at, print) = (hash as usize & (self.seen.len() - 1), (hash >> 32) as u32 & !0xFF);
        // Two places for each: two pieces that come in turns would push each other out of one for ever.
        let places = [at, at ^ 1];
        let known = places.into_iter().find(|&at| self.seen[at] & !0xFF == print && self.seen[at] != 0);
        let at = known.or_else(|| places.into_iter().min_by_key(|&at| self.seen[at] & 0xFF)).unwrap_or(at);
        let count = known.map_or(1, |at| (self.seen[at] & 0xFF) + 1);
        self.seen[at] = print | count;
        if count < OFTEN {
            return None;
        }
        self.seen[at] = 0;
        let code = u16::try_from(self.pieces.len()).ok()?;
        self.pieces.push(piece.into());
        self.bytes += piece.len();
        let pieces = &self.pieces;
        self.codes.insert_unique(hash, code, |&code| hasher.hash_one(&*pieces[code as usize]));
        Some(code)
    }

    /// Appends what was packed.
    pub fn unpack(&self, packed: &[u8], out: &mut Vec<u8>) {
        let mut rest = packed;
        while let Some(at) = rest.iter().position(is_code) {
            out.extend_from_slice(&rest[..at]);
            let [first, second, ..] = rest[at..] else { break };
            let code = usize::from(first - FIRST) << 8 | usize::from(second);
            out.extend_from_slice(self.pieces.get(code).map_or(&[], |piece| piece));
            rest = &rest[at + 2..];
        }
        out.extend_from_slice(rest);
    }

    /// Bytes of the heap.
    pub fn weight(&self) -> usize {
        let each = size_of::<Box<[u8]>>() + 16;
        self.bytes + self.pieces.capacity() * each + heap::block(self.codes.allocation_size()) + self.seen.len() * 4
    }

    pub fn reset(&mut self) {
        *self = Self::new(self.room);
    }
}

/// Where the string ends whose contents begin at `at`: at its quote, or at the end of the text.
fn string_end(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            None | Some(b'"') => return at.min(text.len()),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}
