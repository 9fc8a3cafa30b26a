//! What lies in Redis for an entry, both ways: the value as it crosses the bridge, and the bytes at its key.
//!
//! **The problem.** A plain value shall lie in Redis as plain text, so that `redis-cli` and any other client reads and
//! writes it. Some entries need more: bytes that are no JSON, compression, tags, a life beyond their TTL. And whatever
//! lies there may come from anybody: an older or newer version, a cache of another codec, a client that is broken or
//! hostile.
//!
//! **The approach.** Most entries are plain; what needs more has a header in front of its payload, little-endian:
//!
//! ```text
//! 0xFF  version  codec  flags  [nonce u64  extra u64  delta u32]  [length u32]  [tags]  payload
//!                              with LIFE                          with ZSTD     with TAGS
//! tags: count u8, and for each: length u16  name  length u8  token
//! ```
//!
//! - *0xFF* never occurs in UTF-8, so no JSON text, no number and no other text begins with it. Nor does a lease's
//!   marker.
//! - *Plain* are JSON texts, raw bytes that do not begin like a header or a marker, and the integers that INCRBY makes
//!   under any codec. What `v8.serialize` made is never plain: other bytes that some client wrote at the key must not
//!   reach the deserializer.
//! - *What is not understood is refused.* An unknown version, flag or codec, another cache's codec, a part cut off, a
//!   payload that is not what it should be: no entry, a decode error, and so a miss.
//! - *The life stands at a fixed place*, so that a script knows the entry that it replaces by its first bytes, and a
//!   read of these tells how long an entry outlives its TTL.
//!
//! **Rejected.** *A JSON envelope*: it is a JSON text itself, so a plain value of the same shape is taken for it, and
//! bytes in it grow by a third. *A second key for what an entry has beside its value*: the two expire and are evicted
//! apart.
//!
//! **The limits.** Plain raw bytes are whatever lies there, damaged or not, and no payload has a checksum: TCP and
//! Redis have theirs. INCRBY counts plain integers only. What a compressed payload expands to is bounded by
//! `max_bytes`, whatever its header claims, and what many do in one batch by [`Room`].

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use zstd::bulk::{Compressor, Decompressor};

use crate::engine::base::text::{Given, Json, Kept};
use crate::engine::value::codec;
pub use crate::engine::value::codec::Codec;
use crate::engine::value::codec::Room;
use crate::engine::value::codec::integer;
use crate::engine::value::tag_list::Tags;

/// The first byte of a header.
const MAGIC: u8 = 0xFF;
const VERSION: u8 = 1;

const ZSTD: u8 = 1;
const LIFE: u8 = 2;
const TAGS: u8 = 4;

/// Bytes of a value as it crosses the bridge: V8's longest string has some 512 MiB, and a frame needs a little
/// of it.
const MAX_JSON: usize = 480 << 20;

/// The length of a header up to the end of its life: what [`identity`] gives.
pub const HEAD: usize = 4 + 8 + 8 + 4;
/// A header is never longer, in bytes: room for 255 tags with names and tokens of 4 KiB.
pub const LONGEST_HEADER: usize = 1 << 20;
/// Tags that an entry can have.
pub const MAX_TAGS: usize = u8::MAX as usize;

/// zstd's own default: higher levels cost the engine's thread several times as much for a few percent. They are not
/// even built: .cargo/config.toml leaves out their compressors.
const LEVEL: i32 = 3;
thread_local! {
    // Their tables are kept: to make them anew costs more than to compress or expand a value of a kilobyte.
    static PACK: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    static UNPACK: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// What an entry has beside its value. Most have nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Tells this entry from an equal one written later; 0: there is none.
    pub nonce: u64,
    /// Milliseconds that it is kept beyond its TTL.
    pub extra_ms: u64,
    /// Milliseconds that its function ran; 0: not known.
    pub delta_ms: u32,
    /// [`MAX_TAGS`] at most.
    pub tags: Tags,
}

impl Meta {
    fn has_life(&self) -> bool {
        self.nonce != 0 || self.extra_ms != 0 || self.delta_ms != 0
    }
}

/// An entry as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value as it crosses the bridge.
    pub json: Json,
    pub meta: Option<Arc<Meta>>,
}

/// How the entries of one cache are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub codec: Codec,
    /// Payloads longer than this are compressed where that pays; None: never.
    pub compress_above: Option<usize>,
    /// The longest payload that a compressed entry may expand to.
    pub max_bytes: usize,
}

impl Format {
    /// The bytes to store for a value as it crosses the bridge.
    pub fn encode<'a>(&self, value: impl Into<Given<'a>>, meta: Option<&Meta>) -> Cow<'a, [u8]> {
        let payload = match value.into() {
            Given::Kept(Kept::Bytes(bytes)) => Cow::Borrowed(&***bytes),
            Given::Kept(Kept::Text(text)) => Cow::Borrowed(text.as_bytes()),
            Given::Kept(Kept::Json(text)) => return self.encode(&**text, meta),
            Given::Json(text) => match self.codec.payload(text) {
                Some(payload) => payload,
                // An integer that `increment` made, on which Redis shall go on counting.
                None => return Cow::Borrowed(text.as_bytes()),
            },
        };
        let meta = meta.filter(|meta| meta.has_life() || !meta.tags.is_empty());
        let packed = self.compress(&payload);
        if meta.is_none() && packed.is_none() && self.goes_plain(&payload) {
            return payload;
        }
        // Tags that do not fit are refused before they come here. If not: what nobody can read is a miss, but an entry
        // without one of its tags would outlive an invalidation.
        headed(self.codec, meta, &payload, packed.as_deref()).map_or(Cow::Borrowed(&[MAGIC]), Cow::Owned)
    }

    /// Reads what anyone may have written. None: it cannot be read. `room`: of the batch. `json` takes a JSON text:
    /// [`Json::checked`], or [`Json::passing`] where it is only passed on.
    pub fn decode(&self, bytes: Vec<u8>, room: &mut Room, json: fn(Vec<u8>) -> Option<Json>) -> Option<Entry> {
        let entry = match bytes.first() {
            Some(&MAGIC) => self.decode_headed(&bytes, room, json)?,
            _ if codec::is_marker(&bytes) => return None,
            _ => Entry { json: self.plain(bytes, json)?, meta: None },
        };
        (entry.json.given().size() <= MAX_JSON).then_some(entry)
    }

    fn goes_plain(&self, payload: &[u8]) -> bool {
        match self.codec {
            Codec::Json | Codec::Text => true,
            Codec::Structured => false,
            Codec::Raw => payload.first() != Some(&MAGIC) && !codec::is_marker(payload),
        }
    }

    /// The payload compressed, where that saves an eighth of it: less is not worth the time of everyone who reads it.
    fn compress(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let above = self.compress_above?;
        // What is too long to be read back is not compressed.
        if payload.len() <= above || payload.len() > self.max_bytes || u32::try_from(payload.len()).is_err() {
            return None;
        }
        let packed = PACK.with_borrow_mut(|pack| pack.as_mut()?.compress(payload).ok())?;
        (packed.len() <= payload.len() - payload.len() / 8).then_some(packed)
    }

    /// A value that has no header.
    fn plain(&self, bytes: Vec<u8>, json: fn(Vec<u8>) -> Option<Json>) -> Option<Json> {
        match self.codec {
            Codec::Json => json(bytes),
            Codec::Structured => integer(bytes),
            Codec::Raw | Codec::Text => self.codec.value(Cow::Owned(bytes), json),
        }
    }

    fn decode_headed(&self, bytes: &[u8], room: &mut Room, json: fn(Vec<u8>) -> Option<Json>) -> Option<Entry> {
        let mut rest = Reader(bytes);
        let Head { codec, flags, mut meta } = Head::read(&mut rest)?;
        if codec != self.codec {
            return None;
        }
        let length = if flags & ZSTD == 0 { None } else { Some(u32::from_le_bytes(rest.array()?)) };
        if flags & TAGS != 0 {
            meta.tags = rest.tags()?;
        }
        let payload = match length {
            None => Cow::Borrowed(rest.0),
            Some(length) => Cow::Owned(expand(rest.0, usize::try_from(length).ok()?, self.max_bytes, room)?),
        };
        Some(Entry { json: codec.value(payload, json)?, meta: (flags & (LIFE | TAGS) != 0).then(|| Arc::new(meta)) })
    }
}

/// The bytes in front of an entry with which no other begins, for a script that replaces an entry only while it is the
/// same. None for an entry without a nonce.
pub fn identity(bytes: &[u8]) -> Option<&[u8]> {
    let head = Head::read(&mut Reader(bytes))?;
    if head.meta.nonce == 0 { None } else { bytes.get(..HEAD) }
}

/// The header of a plain value that gets a life, up to that; empty where the codec has no plain values but integers.
pub fn life_of_plain(codec: Codec) -> Vec<u8> {
    if codec == Codec::Structured { Vec::new() } else { vec![MAGIC, VERSION, codec as u8, LIFE] }
}

/// What an entry has beside its value, by its first bytes; None where there is no header, or they do
/// not reach to the end of it.
pub fn meta_of(bytes: &[u8]) -> Option<Meta> {
    let mut rest = Reader(bytes);
    let Head { flags, mut meta, .. } = Head::read(&mut rest)?;
    if flags & ZSTD != 0 {
        rest.array::<4>()?;
    }
    if flags & TAGS != 0 {
        meta.tags = rest.tags()?;
    }
    Some(meta)
}

/// The codec that a header names, and whether its payload is compressed.
pub fn form_of(bytes: &[u8]) -> Option<(Codec, bool)> {
    Head::read(&mut Reader(bytes)).map(|head| (head.codec, head.flags & ZSTD != 0))
}

/// Whether bytes begin with a header, of this version or another.
pub fn is_headed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&MAGIC)
}

/// Whether these, the first `read` bytes of an entry, end within its header.
pub fn is_cut(bytes: &[u8], read: usize) -> bool {
    bytes.len() >= read && is_headed(bytes) && meta_of(bytes).is_none()
}

/// Header and payload; None where the tags do not fit.
fn headed(codec: Codec, meta: Option<&Meta>, payload: &[u8], packed: Option<&[u8]>) -> Option<Vec<u8>> {
    let body = packed.unwrap_or(payload);
    let life = meta.filter(|meta| meta.has_life());
    let none = Tags::default();
    let tags = meta.map_or(&none, |meta| &meta.tags);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(packed.is_some(), ZSTD) | flag(life.is_some(), LIFE) | flag(!tags.is_empty(), TAGS);

    let tag_bytes: usize = tags.iter().map(|(name, token)| 3 + name.len() + token.len()).sum();
    let mut out = Vec::with_capacity(HEAD + 4 + 1 + tag_bytes + body.len());
    out.extend_from_slice(&[MAGIC, VERSION, codec as u8, flags]);
    if let Some(meta) = life {
        out.extend_from_slice(&meta.nonce.to_le_bytes());
        out.extend_from_slice(&meta.extra_ms.to_le_bytes());
        out.extend_from_slice(&meta.delta_ms.to_le_bytes());
    }
    if packed.is_some() {
        out.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
    }
    if !tags.is_empty() {
        out.push(u8::try_from(tags.len()).ok()?);
    }
    for (name, token) in tags.iter() {
        out.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(u8::try_from(token.len()).ok()?);
        out.extend_from_slice(token.as_bytes());
    }
    out.extend_from_slice(body);
    Some(out)
}

/// What `packed` expands to, if that is `length` bytes. zstd writes into the room it is given and no further, and makes
/// no window beside it, whatever the frame asks for. Room that a false `length` claims is given back untouched.
fn expand(packed: &[u8], length: usize, max_bytes: usize, room: &mut Room) -> Option<Vec<u8>> {
    if length > max_bytes || !room.takes(packed.len(), length) {
        return None;
    }
    let mut out = Vec::new();
    out.try_reserve_exact(length).ok()?;
    UNPACK.with_borrow_mut(|unpack| unpack.as_mut()?.decompress_to_buffer(packed, &mut out).ok())?;
    (out.len() == length).then_some(out)
}

/// A header up to the end of its life. `meta` has no tags yet.
struct Head {
    codec: Codec,
    flags: u8,
    meta: Meta,
}

impl Head {
    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let [MAGIC, VERSION, codec, flags] = from.array()? else { return None };
        let codec = Codec::of(codec)?;
        if flags & !(ZSTD | LIFE | TAGS) != 0 {
            return None;
        }
        let mut meta = Meta::default();
        if flags & LIFE != 0 {
            meta.nonce = u64::from_le_bytes(from.array()?);
            meta.extra_ms = u64::from_le_bytes(from.array()?);
            meta.delta_ms = u32::from_le_bytes(from.array()?);
        }
        Some(Self { codec, flags, meta })
    }
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(front).ok()
    }

    fn tags(&mut self) -> Option<Tags> {
        let [count] = self.array()?;
        let mut tags = Vec::with_capacity(count.into());
        for _ in 0..count {
            let name = u16::from_le_bytes(self.array()?);
            let name = self.text(name.into())?;
            let [token] = self.array()?;
            tags.push((name, self.text(token.into())?));
        }
        Some(Tags::new(tags.iter().copied()))
    }
}
