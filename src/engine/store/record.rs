//! One entry as bytes, behind which the next one lies: what a record costs beside its key and its value is a dozen
//! bytes.
//!
//! ```text
//! flags u8  units u16  key: length  bytes   since  ttl  stamp  [meta]  value        padded to UNIT
//!                                                              with META
//! meta: nonce  extra  delta  count of tags, and for each: length  name  length  token
//! ```
//!
//! Lengths and numbers are LEB128: seven bits a byte, the lowest first. A *stub* has no key, and its value is the
//! number of an entry that is too large to lie among others (bulky.rs). A *packed* value has codes for names
//! (names.rs).

use std::sync::Arc;

use crate::engine::value::entry::Meta;
use crate::engine::value::tag_list::Tags;

/// Records begin at multiples of so many bytes.
pub const UNIT: usize = 4;

/// How often it was read since it was last looked at: 0 to 3.
const READS: u8 = 3;
/// Bytes of the padding.
const PAD: u8 = 3 << 2;
/// Its key has another record, or none: it is passed over.
const DEAD: u8 = 1 << 4;
const META: u8 = 1 << 5;
const PACKED: u8 = 1 << 6;
const STUB: u8 = 1 << 7;

/// When an entry was put away, when it goes, and of which sweeps it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it goes, of the monotonic clock in milliseconds; `u64::MAX` for never.
    pub deadline: u64,
    pub since: u64,
    pub stamp: u64,
    /// Milliseconds that it is kept beyond its TTL.
    pub extra: u64,
}

impl Life {
    /// Until when it is fresh: an entry with grace is stale before its deadline.
    pub fn fresh_until(&self) -> u64 {
        if self.deadline == u64::MAX { u64::MAX } else { self.deadline.saturating_sub(self.extra) }
    }
}

/// How a value lies in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Packed,
    /// The number of a bulky entry.
    Stub,
}

/// A record, taken apart.
pub struct View<'a> {
    pub flags: u8,
    /// Bytes that it takes, padding included.
    pub size: usize,
    pub key: &'a [u8],
    pub life: Life,
    pub form: Form,
    pub value: &'a [u8],
    meta: Option<&'a [u8]>,
}

impl<'a> View<'a> {
    /// The record at the beginning of `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        let flags = bytes.first().copied().unwrap_or(DEAD);
        let size = size(bytes);
        let end = size.saturating_sub(usize::from((flags & PAD) >> 2));
        let mut rest = Reader(bytes.get(3..end).unwrap_or_default());
        let length = rest.length();
        let key = rest.bytes(length);
        let (since, ttl, stamp) = (rest.number(), rest.number(), rest.number());
        let deadline = if ttl == 0 { u64::MAX } else { since.saturating_add(ttl - 1) };
        let meta = (flags & META != 0).then_some(rest.0);
        let extra = if meta.is_some() { skip_meta(&mut rest) } else { 0 };
        let form = match flags & (PACKED | STUB) {
            0 => Form::Plain,
            PACKED => Form::Packed,
            _ => Form::Stub,
        };
        Self { flags, size, key, life: Life { deadline, since, stamp, extra }, form, value: rest.0, meta }
    }

    pub fn is_dead(&self) -> bool {
        self.flags & DEAD != 0
    }

    pub fn reads(&self) -> u8 {
        self.flags & READS
    }

    pub fn meta(&self) -> Option<Arc<Meta>> {
        let mut rest = Reader(self.meta?);
        let (nonce, extra_ms, delta_ms, count) = (rest.number(), rest.number(), rest.number(), rest.length());
        let mut tags = Vec::with_capacity(count);
        for _ in 0..count {
            let (name, token) = (rest.text(), rest.text());
            tags.push((name, token));
        }
        let delta_ms = u32::try_from(delta_ms).unwrap_or(u32::MAX);
        Some(Arc::new(Meta { nonce, extra_ms, delta_ms, tags: Tags::new(tags.iter().copied()) }))
    }
}

/// Whether the record at the beginning of `bytes` is of this key; a stub is of none.
pub fn is_of(bytes: &[u8], key: &[u8]) -> bool {
    let mut rest = Reader(bytes.get(3..).unwrap_or_default());
    let is_stub = bytes.first().is_none_or(|flags| flags & STUB != 0);
    !is_stub && rest.length() == key.len() && rest.0.starts_with(key)
}

/// The number of the bulky entry that the record at the beginning of `bytes` stands for.
pub fn stub(bytes: &[u8]) -> Option<u32> {
    if bytes.first()? & STUB == 0 {
        return None;
    }
    Some(u32::from_le_bytes(View::of(bytes).value.try_into().ok()?))
}

/// Bytes that the record at the beginning of `bytes` takes.
pub fn size(bytes: &[u8]) -> usize {
    match *bytes {
        [_, low, high, ..] => usize::from(u16::from_le_bytes([low, high])) * UNIT,
        _ => 0,
    }
}

/// It was read once more. Writes only where that changes it.
pub fn note_read(flags: &mut u8) {
    if *flags & READS < READS {
        *flags += 1;
    }
}

pub fn bury(flags: &mut u8) {
    *flags |= DEAD;
}

pub fn set_reads(flags: &mut u8, reads: u8) {
    *flags = *flags & !READS | reads.min(READS);
}

/// Appends the record of an entry to `out`, which is empty. False where it is longer than any record.
pub fn write(out: &mut Vec<u8>, key: &[u8], life: &Life, meta: Option<&Meta>, form: Form, value: &[u8]) -> bool {
    let form = match form {
        Form::Plain => 0,
        Form::Packed => PACKED,
        Form::Stub => STUB,
    };
    let flags = form | if meta.is_some() { META } else { 0 };
    out.extend_from_slice(&[flags, 0, 0]);
    number(out, key.len() as u64);
    out.extend_from_slice(key);
    number(out, life.since);
    // What goes before it came is gone at once.
    number(out, if life.deadline == u64::MAX { 0 } else { life.deadline.saturating_sub(life.since) + 1 });
    number(out, life.stamp);
    if let Some(meta) = meta {
        number(out, meta.nonce);
        number(out, meta.extra_ms);
        number(out, meta.delta_ms.into());
        number(out, meta.tags.len() as u64);
        for part in meta.tags.iter().flat_map(|(name, token)| [name, token]) {
            number(out, part.len() as u64);
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(value);
    let pad = out.len().next_multiple_of(UNIT) - out.len();
    out.resize(out.len() + pad, 0);
    let Ok(units) = u16::try_from(out.len() / UNIT) else { return false };
    out[0] |= (pad as u8) << 2;
    out[1..3].copy_from_slice(&units.to_le_bytes());
    true
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The extra milliseconds of what it passes over.
fn skip_meta(rest: &mut Reader<'_>) -> u64 {
    let (_nonce, extra, _delta, count) = (rest.number(), rest.number(), rest.number(), rest.length());
    for _ in 0..2 * count {
        let length = rest.length();
        rest.bytes(length);
    }
    extra
}

/// Bytes that are read from the front. What is not there is 0 and empty.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        while let Some((&byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 63 {
                break;
            }
        }
        number
    }

    fn length(&mut self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }

    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        front
    }

    fn text(&mut self) -> &'a str {
        let length = self.length();
        std::str::from_utf8(self.bytes(length)).unwrap_or_default()
    }
}
