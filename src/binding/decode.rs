//! A turn of the event loop as `src/js/bridge/channel.js` packs it: one text, and six numbers an operation.
//!
//! The numbers are: kind, length of the key, length of the value, two of the kind's own, `a` (TTL in milliseconds; 0
//! for none given; how a read may be answered) and `b` (amount, waiter, token, or how many leaves of a value follow),
//! and the length of the options. Key, value and options, a JSON object or nothing, stand behind each other in the
//! text; lengths are in UTF-16 code units. A value of which leaves follow is not its JSON text but the strings among
//! them: see the engine's `leaves`. A negative length stands for the next of the values that do not lie in the
//! text, but behind it in a list.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Span;
use crate::engine::call::batch::Extras;
use crate::engine::call::batch::{Batch, More, Op, Why};
use crate::engine::call::leaves::{self, Leaves, Shapes, Strings};

use super::text::{Text, Turn};

/// Numbers an operation, without its leaves.
const STRIDE: usize = 6;
/// The kind of a `set`.
const SET: f64 = 1.0;

/// Unpacks a turn. Lengths that do not fit the text give empty keys, which the engine refuses one by one.
pub fn batch(Turn { text, whole }: Turn, numbers: &[f64], shapes: &Arc<Shapes>) -> Batch {
    let mut cutter = match text {
        Text::Ascii(text) => Cutter { wide: None, text, at: 0 },
        Text::Utf16(units) => Cutter { text: String::with_capacity(units.len() * 2), wide: Some(units), at: 0 },
    };
    let mut batch = Batch { ops: Vec::with_capacity(numbers.len() / STRIDE), ..Batch::default() };
    let mut next_whole = (0..whole.len()).map_while(Span::whole);
    batch.whole = whole;
    let mut rest = numbers;
    // The options of the call before: those of a group are all the same.
    let mut last = Span::default();
    while let Some((n, behind)) = rest.split_first_chunk::<STRIDE>() {
        let count = if n[0] == SET { n[4] as usize } else { 0 };
        let Some((given, next)) = behind.split_at_checked(count) else { break };
        rest = next;
        let key = cutter.take(n[1] as usize);
        let length = n[2] as usize;
        // Values are JSON texts, which are well-formed; one that were not would be an empty text, and no value.
        let value = if n[2] < 0.0 {
            next_whole.next()
        } else if given.is_empty() {
            cutter.take(length)
        } else if cutter.wide.is_some() {
            cutter.written(length, given, shapes)
        } else {
            let leaves = batch.leaves.get_or_insert_with(|| Leaves::new(shapes.clone()));
            cutter.take(length).map(|strings| {
                leaves.push(batch.ops.len(), strings, given);
                Span::default()
            })
        };
        let more = (n[5] > 0.0).then(|| {
            let span = cutter.take(n[5] as usize).unwrap_or_default();
            let options = |span: Span| cutter.text.get(span.start as usize..span.end as usize).unwrap_or("");
            if batch.extras.is_empty() || options(span) != options(last) {
                batch.extras.push(Extras::parse(options(span)));
            }
            last = span;
            u32::try_from(batch.extras.len() - 1).unwrap_or(u32::MAX)
        });
        batch.ops.push(key.map_or(Op::Malformed, |key| op(n, key, value.unwrap_or_default(), more)));
    }
    batch.text = cutter.text;
    batch
}

fn op(n: &[f64; STRIDE], key: Span, value: Span, more: More) -> Op {
    let (a, b) = (n[3], n[4]);
    let ttl = || Ttl::from_ms(a);
    match n[0] as u8 {
        // `a`: 0 answered with its neighbours, 1 as soon as may be, 2 and kept in JavaScript.
        0 => Op::Get { key, early: a >= 1.0, hot: a >= 2.0 },
        1 => Op::Set { key, value, ttl: ttl(), more },
        2 => Op::Del { key },
        3 => Op::Increment { key, amount: b as i64, ttl: (a > 0.0).then(ttl), more },
        4 => Op::Exists { key },
        5 => Op::Ttl { key },
        6 => Op::Expire { key, ttl: ttl() },
        // `a`: 1 with the lock across processes, 2 to be told of other computations.
        7 => {
            let flags = a as u8;
            Op::Begin { key, waiter: b as u32, lock: flags & 1 != 0, many: flags & 2 != 0, early: false, more }
        }
        8 => Op::End { key, value, ttl: ttl(), token: b as u32, more },
        // `a`: 0 it threw, 1 it returned undefined, 2 it is left.
        9 => {
            let why = match a as u8 {
                0 => Why::Failed,
                1 => Why::Nothing,
                _ => Why::Left,
            };
            Op::Abandon { key, token: b as u32, why }
        }
        10 => Op::Overdue { key, token: b as u32 },
        11 => Op::Withdraw { key, waiter: b as u32 },
        12 => Op::Take { key, more },
        13 => Op::SetIfAbsent { key, value, ttl: ttl(), more },
        14 => Op::Soften { key, stale_ms: a as u64 },
        15 => Op::EndTag { key, stale_ms: a as u64 },
        16 => Op::TagTime { key },
        17 | 18 => Op::Hold { key, ttl: a as u64, token: b as u32, renews: n[0] > 17.0, more },
        19 => Op::Inspect { key },
        _ => Op::Malformed,
    }
}

/// Takes the text apart from front to back.
struct Cutter {
    text: String,
    /// The code units still to be converted into `text`, where the text is not ASCII.
    wide: Option<Vec<u16>>,
    /// Where the next part begins: in `wide`, or in `text`.
    at: usize,
}

impl Cutter {
    fn take(&mut self, length: usize) -> Option<Span> {
        let end = self.at.checked_add(length)?;
        let span = match &self.wide {
            None => Span { start: u32::try_from(self.at).ok()?, end: u32::try_from(end).ok()? },
            Some(wide) => {
                let start = self.text.len();
                let part = wide
                    .get(self.at..end)
                    .map(|units| char::decode_utf16(units.iter().copied()).collect::<Result<String, _>>());
                self.at = end;
                self.text.push_str(&part?.ok()?);
                return Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(self.text.len()).ok()? });
            }
        };
        self.at = end;
        Some(span)
    }

    /// Takes the strings of a value, and writes its text at once: they may hold halves of surrogate pairs, which only
    /// UTF-16 has.
    fn written(&mut self, length: usize, leaves: &[f64], shapes: &Shapes) -> Option<Span> {
        let end = self.at.checked_add(length)?;
        let strings = self.wide.as_ref()?.get(self.at..end)?;
        self.at = end;
        let start = u32::try_from(self.text.len()).ok()?;
        leaves::write(&mut self.text, Strings::Utf16(strings), leaves, shapes)?;
        Some(Span { start, end: u32::try_from(self.text.len()).ok()? })
    }
}
