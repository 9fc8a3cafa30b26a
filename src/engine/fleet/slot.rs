//! Which of a cluster's 16,384 slots a key lies in, and the name of a second key that lies in the same slot.
//!
//! **The slot.** The servers define it: CRC16 (XMODEM: polynomial 0x1021, from 0) of the key, mod 16384. A key may
//! carry a *hash tag*: where something stands between its first `{` and the first `}` behind that, this alone is
//! hashed. So `{}` is no tag, the tag of `{a}{b}` is `a`, and that of `{{a}}` is `{a`.
//!
//! **A second key.** A script may only touch keys of one slot, and a refresh has two: the entry, and its lock. The
//! lock's name on a single server, `<ns>:\0refresh\0<key>`, lies in the entry's slot where the key has a tag of its
//! own, and elsewhere not. On a cluster the name is `<ns>:\0refresh\0{tag}<key>`, where the tag is three letters or
//! digits that hash to the entry's slot ([`tag_for`]). Nothing in front of it has a brace, as namespaces hold none; so
//! it is the name's first, and the tag, whatever the key is. And it holds no `}`, so two keys never share a lock.
//!
//! The tag needs neither a table of 16,384 nor a search among thousands of texts. A CRC of 16 bits can be wound back:
//! for any state and any checksum there are exactly two bytes that lead from the one to the other. So a first letter is
//! tried after another, until the two bytes that it needs to one of the slot's four checksums are letters as well. The
//! same slot has the same tag in every process and version: it is the name under which processes meet.
//!
//! **Rejected.** *`{<key>}`*: a key may hold a `}`, which ends the tag too early (`a}b`, `{}`). *The key's own tag,
//! where it has one*: a second rule, whose names can be those of the first for another key. *A name without the key*,
//! by slot: keys of one slot would wait for each other. *A lock of its own command*: taking it must be one step with
//! the look at the entry (`TAKE` in src/engine/once/lease.rs).
//!
//! **A set of them** ([`Slots`]) is a bit each, 2 KB: when a cluster is found all have an owner at once, and a tree of
//! 16,384 numbers took most of that moment. Which ones a server ever had, and which have left it, are such sets
//! ([`Past`]).
//!
//! **The limit.** Processes that reach the same server in both ways, as a cluster and as a single one, would not see
//! each other's locks. A server is one or the other, and says so.

use std::ops::RangeInclusive;

use crate::engine::base::key::Prefix;

/// How many slots every cluster has.
pub const SLOTS: u16 = 16_384;

/// A set of slots. An empty one has no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots(Vec<u64>);

impl Slots {
    /// Whether it was not there before. What is no slot is not put in.
    pub fn insert(&mut self, slot: u16) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; usize::from(SLOTS) / 64];
        }
        let Some(word) = self.0.get_mut(usize::from(slot) / 64) else { return false };
        let before = *word;
        *word |= 1 << (slot % 64);
        *word != before
    }

    /// As `insert`, for a run of slots: whether any of them was there before.
    pub fn insert_run(&mut self, slots: RangeInclusive<u16>) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; usize::from(SLOTS) / 64];
        }
        let (first, last) = (*slots.start(), *slots.end());
        let mut any = false;
        for (at, word) in (0..).zip(&mut self.0).take(usize::from(last) / 64 + 1).skip(usize::from(first) / 64) {
            let low = if at == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
            let high = if at == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
            any |= *word & low & high != 0;
            *word |= low & high;
        }
        any
    }

    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot) / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u16> for Slots {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> Self {
        let mut all = Self::default();
        slots.into_iter().for_each(|slot| _ = all.insert(slot));
        all
    }
}

/// Who had which slots.
#[derive(Default)]
pub(super) struct Past {
    /// By place, the slots that it ever had.
    had: Vec<Slots>,
    /// The slots that have left a server since this was last asked, each with the place of the first one.
    left: Vec<(u16, Slots)>,
}

impl Past {
    /// Notes that a server has slots; whether it had any of them before.
    pub(super) fn note(&mut self, slots: RangeInclusive<u16>, place: u16) -> bool {
        let place = usize::from(place);
        if self.had.len() <= place {
            self.had.resize_with(place + 1, Slots::default);
        }
        self.had.get_mut(place).is_some_and(|had| had.insert_run(slots))
    }

    /// Slots have left a server.
    pub(super) fn leave(&mut self, slots: RangeInclusive<u16>, place: u16) {
        for slot in slots {
            if self.left.iter().any(|(_, slots)| slots.contains(slot)) {
                continue;
            }
            match self.left.iter_mut().find(|(from, _)| *from == place) {
                Some((_, slots)) => _ = slots.insert(slot),
                None => self.left.push((place, Slots::from_iter([slot]))),
            }
        }
    }

    pub(super) fn take_left(&mut self) -> Vec<(u16, Slots)> {
        std::mem::take(&mut self.left)
    }
}

const POLYNOMIAL: u16 = 0x1021;

/// `TABLES[n][byte]`: the checksum of a byte with n zeros behind it. With four of them four bytes are taken in one
/// step, which for keys of 16 to 64 bytes was measured to take half the time of one after another, or less.
static TABLES: [[u16; 256]; 4] = tables();
/// The byte whose entry of the first table ends with this byte; there is one for each.
static BYTE_BY_END: [u8; 256] = bytes_by_end();

const fn tables() -> [[u16; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut zeros = 0;
        while zeros < 4 {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
                bit += 1;
            }
            tables[zeros][byte] = crc;
            zeros += 1;
        }
        byte += 1;
    }
    tables
}

const fn bytes_by_end() -> [u8; 256] {
    let tables = tables();
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[(tables[0][byte] & 0xFF) as usize] = byte as u8;
        byte += 1;
    }
    bytes
}

/// The slot of a stored key.
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hashed(key)) % SLOTS
}

/// What of a key is hashed: its tag, or all of it.
fn hashed(key: &[u8]) -> &[u8] {
    // Looks at several bytes at a time, and most keys have no brace.
    if !key.contains(&b'{') {
        return key;
    }
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let behind = key.get(open + 1..)?;
        let tag = behind.get(..behind.iter().position(|byte| *byte == b'}')?)?;
        (!tag.is_empty()).then_some(tag)
    };
    tag().unwrap_or(key)
}

fn crc16(bytes: &[u8]) -> u16 {
    let at = |zeros: usize, byte: u8| TABLES[zeros][usize::from(byte)];
    let (fours, rest) = bytes.as_chunks::<4>();
    let crc = fours.iter().fold(0_u16, |crc, &[a, b, c, d]| {
        let [high, low] = crc.to_be_bytes();
        at(3, a ^ high) ^ at(2, b ^ low) ^ at(1, c) ^ at(0, d)
    });
    rest.iter().fold(crc, |crc, byte| after(crc, *byte))
}

/// The state that a byte leads to.
fn after(crc: u16, byte: u8) -> u16 {
    let [high, _] = crc.to_be_bytes();
    (crc << 8) ^ TABLES[0][usize::from(high ^ byte)]
}

/// The state from which a zero byte leads to this one.
fn before(crc: u16) -> u16 {
    let [_, end] = crc.to_be_bytes();
    let high = BYTE_BY_END[usize::from(end)];
    ((crc ^ TABLES[0][usize::from(high)]) >> 8) | (u16::from(high) << 8)
}

/// Three letters or digits that lie in the slot of a stored key, always the same for a slot.
pub fn tag_for(key: &[u8]) -> String {
    let slot = slot_of(key);
    // From a state, two bytes lead to where two zeros lead from the state with the bytes' bits turned.
    let ends = [0, 1, 2, 3].map(|quarter| before(before(slot + quarter * SLOTS)));
    let tag = (b'0'..=b'z').filter(u8::is_ascii_alphanumeric).find_map(|first| {
        ends.iter().find_map(|end| {
            let [second, third] = (end ^ after(0, first)).to_be_bytes();
            let fits = second.is_ascii_alphanumeric() && third.is_ascii_alphanumeric();
            fits.then_some([first, second, third])
        })
    });
    // Every slot has one, as a test over all of them shows.
    tag.unwrap_or_default().map(char::from).iter().collect()
}

/// The stored key of what belongs to the entry at a stored key, in the same slot. `kind` is what keys of ours begin
/// with behind the prefix, as `key::REFRESH`.
pub fn companion(prefix: &Prefix, kind: &str, key: &str) -> String {
    let rest = key.strip_prefix(prefix.as_str()).unwrap_or(key);
    [prefix.as_str(), kind, "{", &tag_for(key.as_bytes()), "}", rest].concat()
}
