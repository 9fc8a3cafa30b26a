//! One turn of the event loop: its calls as one text and a list of operations, and the replies that go back.
//!
//! The text holds every key and value of the turn, one behind the other; an operation names its parts by their place.
//! So a turn of 500 calls is one string and one list, not a thousand small allocations.

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::{Given, Json, Kept, Span};
pub use crate::engine::call::extras::{Extras, More, NONE};
use crate::engine::call::leaves::Leaves;

/// Why a computation stores nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its function returned undefined.
    Nothing,
    /// It threw. A refresh is then not tried again for a while.
    Failed,
    /// Nobody waits for it any more, and it has lost its right to store.
    Left,
}

/// What a call asks for. Keys are as the caller gave them, without the prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// `early`: what the near cache holds may be answered before the rest of the batch. `hot`: and may be kept in
    /// JavaScript.
    Get {
        key: Span,
        early: bool,
        hot: bool,
    },
    /// Answered early: nothing is left to do.
    Answered,
    /// Found in the near cache, but its caller waits for its neighbours: the answer is `known[…]`.
    Known(usize),
    Set {
        key: Span,
        value: Span,
        ttl: Ttl,
        more: More,
    },
    /// As `Set`, where there is no value.
    SetIfAbsent {
        key: Span,
        value: Span,
        ttl: Ttl,
        more: More,
    },
    Del {
        key: Span,
    },
    /// As `Del`, but what is there is of use for so many milliseconds more to who takes stale values.
    Soften {
        key: Span,
        stale_ms: u64,
    },
    /// Ends a tag: entries with its token are misses, and of use for so many milliseconds to who takes stale values.
    EndTag {
        key: Span,
        stale_ms: u64,
    },
    /// When a tag was last ended.
    TagTime {
        key: Span,
    },
    /// Reads the value and removes it, in one step.
    Take {
        key: Span,
        more: More,
    },
    /// `ttl` applies when the key is created.
    Increment {
        key: Span,
        amount: i64,
        ttl: Option<Ttl>,
        more: More,
    },
    /// Takes the lease of `runExclusive` for `ttl` milliseconds, as the environment's number `token`; or `renews` it,
    /// and with a TTL of 0 gives it up. The reply says whether it is had: 0 no, 1 yes, 2 in this process, as Redis is
    /// away.
    Hold {
        key: Span,
        ttl: u64,
        token: u32,
        renews: bool,
        more: More,
    },
    Exists {
        key: Span,
    },
    Ttl {
        key: Span,
    },
    /// Everything about what lies there, but the value.
    Inspect {
        key: Span,
    },
    Expire {
        key: Span,
        ttl: Ttl,
    },
    /// A read of `getOrCompute`. `waiter` is the id under which a late answer comes, where another thread computes the
    /// key. `lock`: one computation across processes. `many`: the caller is to be told if somebody else computes it.
    /// `early`: the entry is to be refreshed early.
    Begin {
        key: Span,
        waiter: u32,
        lock: bool,
        many: bool,
        early: bool,
        more: More,
    },
    /// The function of the flight `token` returned this: store it, unless the key was written meanwhile.
    End {
        key: Span,
        value: Span,
        ttl: Ttl,
        token: u32,
        more: More,
    },
    /// The flight `token` stores nothing.
    Abandon {
        key: Span,
        token: u32,
        why: Why,
    },
    /// The callers of the flight `token` waited long enough: whoever asks next computes anew.
    Overdue {
        key: Span,
        token: u32,
    },
    /// The caller that waits under this id waits no more.
    Withdraw {
        key: Span,
        waiter: u32,
    },
    /// The key was not valid text; the call alone is rejected.
    Malformed,
}

impl Op {
    /// Whether it changes its key.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Set { .. }
                | Self::SetIfAbsent { .. }
                | Self::End { .. }
                | Self::Del { .. }
                | Self::Soften { .. }
                | Self::EndTag { .. }
                | Self::Take { .. }
                | Self::Increment { .. }
                | Self::Expire { .. }
        )
    }

    /// Its parts of the text, and which options it has.
    fn parts(&mut self) -> ([Option<&mut Span>; 2], Option<&mut More>) {
        match self {
            Self::Set { key, value, more, .. }
            | Self::SetIfAbsent { key, value, more, .. }
            | Self::End { key, value, more, .. } => ([Some(key), Some(value)], Some(more)),
            Self::Take { key, more }
            | Self::Increment { key, more, .. }
            | Self::Hold { key, more, .. }
            | Self::Begin { key, more, .. } => ([Some(key), None], Some(more)),
            Self::Get { key, .. }
            | Self::Del { key }
            | Self::Soften { key, .. }
            | Self::EndTag { key, .. }
            | Self::TagTime { key }
            | Self::Exists { key }
            | Self::Ttl { key }
            | Self::Inspect { key }
            | Self::Expire { key, .. }
            | Self::Abandon { key, .. }
            | Self::Overdue { key, .. }
            | Self::Withdraw { key, .. } => ([Some(key), None], None),
            Self::Malformed | Self::Answered | Self::Known(_) => ([None, None], None),
        }
    }

    pub fn key(&self) -> Option<Span> {
        match *self {
            Self::Get { key, .. }
            | Self::Set { key, .. }
            | Self::SetIfAbsent { key, .. }
            | Self::Del { key }
            | Self::Soften { key, .. }
            | Self::EndTag { key, .. }
            | Self::TagTime { key }
            | Self::Take { key, .. }
            | Self::Increment { key, .. }
            | Self::Hold { key, .. }
            | Self::Exists { key }
            | Self::Ttl { key }
            | Self::Inspect { key }
            | Self::Expire { key, .. }
            | Self::Begin { key, .. }
            | Self::End { key, .. }
            | Self::Abandon { key, .. }
            | Self::Overdue { key, .. }
            | Self::Withdraw { key, .. } => Some(key),
            Self::Malformed | Self::Answered | Self::Known(_) => None,
        }
    }
}

/// The calls of one turn on one cache.
#[derive(Debug, Default)]
pub struct Batch {
    pub text: String,
    pub ops: Vec<Op>,
    /// What was noted of its writes when they were called (called.rs), in the order of the writes; it is given back
    /// when they are planned.
    pub called: Vec<u32>,
    /// Values that do not lie in the text.
    pub whole: Vec<Kept>,
    /// Values found in the near cache that travel with the rest.
    pub known: Vec<Json>,
    pub extras: Vec<Extras>,
    /// On a cluster, how many ends of tags the router had passed when it came to these calls: what is stored in process
    /// with a tag that may have ended since is a miss there.
    pub ends: Option<u64>,
    /// Values whose texts are not written yet: until `render` their spans are empty.
    pub leaves: Option<Leaves>,
}

impl Batch {
    /// A part of the text; empty where a span does not fit it, which the key check then refuses.
    pub fn str(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// The value at a place.
    pub fn value(&self, span: Span) -> Given<'_> {
        match span.number().and_then(|number| self.whole.get(number)) {
            Some(whole) => Given::Kept(whole),
            None => Given::Json(self.str(span)),
        }
    }

    /// Writes the texts of values that are still leaves. Whoever runs a batch does this first.
    pub fn render(&mut self) {
        let Some(leaves) = self.leaves.take() else { return };
        let mut texts = String::with_capacity(leaves.len() * 8 + self.text.len());
        leaves.each(|op, strings, write| {
            let from = texts.len();
            let written = write(&mut texts, self.text.get(strings.range()).unwrap_or(""));
            let place = |at: usize| u32::try_from(self.text.len() + at).ok();
            let span = written.and_then(|()| Some(Span { start: place(from)?, end: place(texts.len())? }));
            match (span, self.ops.get_mut(op)) {
                (Some(span), Some(Op::Set { value, .. })) => *value = span,
                // Never sent by src/js; what cannot be read is not stored.
                (None, Some(op)) => *op = Op::Malformed,
                _ => {}
            }
        });
        self.text.push_str(&texts);
    }

    /// Some of its operations, which have keys, as a batch of their own. It must have been rendered.
    pub fn some(&self, ops: impl IntoIterator<Item = usize>) -> Self {
        let mut part = Self { ends: self.ends, ..Self::default() };
        let mut last = None;
        for mut op in ops.into_iter().filter_map(|at| self.ops.get(at).copied()) {
            let (spans, more) = op.parts();
            for span in spans.into_iter().flatten() {
                if let Some(whole) = span.number().and_then(|number| self.whole.get(number)) {
                    *span = Span::whole(part.whole.len()).unwrap_or_default();
                    part.whole.push(whole.clone());
                    continue;
                }
                let start = u32::try_from(part.text.len()).unwrap_or(u32::MAX);
                part.text.push_str(self.str(*span));
                *span = Span { start, end: u32::try_from(part.text.len()).unwrap_or(u32::MAX) };
            }
            if let Some(more) = more
                && let Some(at) = *more
            {
                // Calls of a group have the same options.
                if last != Some(at) {
                    part.extras.push(self.more(Some(at)).clone());
                    last = Some(at);
                }
                *more = u32::try_from(part.extras.len() - 1).ok();
            }
            part.ops.push(op);
        }
        part
    }

    pub fn more(&self, more: More) -> &Extras {
        more.and_then(|at| self.extras.get(at as usize)).unwrap_or(&NONE)
    }
}

/// Long work that answers by itself and does not hold up the calls beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    DelPattern(String),
    Clear { flush_db: bool },
    Stats,
    Scan(Scan),
}

/// A page of `scan()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    pub glob: String,
    /// About so many keys.
    pub count: usize,
    /// Where it begins: as the page before it said, or empty.
    pub from: String,
}

impl Scan {
    /// Reads what `src/js/cache/many.js` hands over.
    pub fn parse(text: &str) -> Self {
        let given: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
        let count = given["count"].as_u64().and_then(|count| usize::try_from(count).ok());
        Self { glob: text("glob"), count: count.unwrap_or(1), from: text("from") }
    }
}
