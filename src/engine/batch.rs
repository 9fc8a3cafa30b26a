//! One turn of the event loop: its calls as one text and a list of operations, and the replies that go back.
//!
//! The text holds every key and value of the turn, one behind the other; an operation names its parts by their place. So a
//! turn of 500 calls is one string and one list, not a thousand small allocations.

use std::sync::Arc;

use super::clock::Ttl;
use super::error::CallError;
use super::extras::{self, Extras};
use super::leaves::Leaves;
use super::near::Versions;

/// A part of the batch's text, as byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

/// Where in `Batch::extras` a call's options are, if it has any.
pub type More = Option<u32>;

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
    /// `early`: what the near cache holds may be answered before the rest of the batch. `hot`: and may be kept in JavaScript.
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
    Del {
        key: Span,
    },
    /// `ttl` applies when the key is created.
    Increment {
        key: Span,
        amount: i64,
        ttl: Option<Ttl>,
        more: More,
    },
    Exists {
        key: Span,
    },
    Ttl {
        key: Span,
    },
    Expire {
        key: Span,
        ttl: Ttl,
    },
    /// A read of `getOrCompute`. `waiter` is the id under which a late answer comes, where another thread computes the key.
    /// `lock`: one computation across processes. `many`: the caller is to be told if somebody else computes it. `early`: the entry is to be refreshed early.
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
    pub fn key(&self) -> Option<Span> {
        match *self {
            Self::Get { key, .. }
            | Self::Set { key, .. }
            | Self::Del { key }
            | Self::Increment { key, .. }
            | Self::Exists { key }
            | Self::Ttl { key }
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
    /// Values found in the near cache that travel with the rest.
    pub known: Vec<Json>,
    pub extras: Vec<Extras>,
    /// Values whose texts are not written yet: until `render` their spans are empty.
    pub leaves: Option<Leaves>,
}

impl Batch {
    /// A part of the text; empty where a span does not fit it, which the key check then refuses.
    pub fn str(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    pub fn more(&self, more: More) -> &Extras {
        more.and_then(|at| self.extras.get(at as usize)).unwrap_or(&extras::NONE)
    }
}

/// Long work that answers by itself and does not hold up the calls beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    DelPattern(String),
    Clear { flush_db: bool },
    Stats,
}

/// A stored value whose bytes are known to be one JSON text: only [`Json::checked`] makes it from bytes that came from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Owned(String),
    Shared(Arc<str>),
}

impl Json {
    /// Takes bytes that anyone may have written. What is no JSON text is refused: spliced between other values, `1,2` or `"a` would give one
    /// key's bytes to another key.
    pub fn checked(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text).ok()?;
        Some(Self::Owned(text))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Owned(text) => text,
            Self::Shared(text) => text,
        }
    }

    pub fn share(&self) -> Arc<str> {
        match self {
            Self::Owned(text) => text.as_str().into(),
            Self::Shared(text) => text.clone(),
        }
    }
}

/// What a batch got when it was submitted.
pub enum Submitted {
    /// All replies.
    Answered(Vec<Reply>),
    /// Replies to some, `Reply::Later` for the others, which come through the sink.
    Partly(Vec<Reply>),
    /// All come through the sink.
    Later,
}

/// Longer values are not kept in JavaScript: they cost so much to copy that the call into Rust no longer matters.
/// `MAX_ONE` of src/js/hot.js.
pub const MAX_HOT_BYTES: usize = 16 << 10;

/// A value that JavaScript may keep, for as long as its versions stand and for `ttl` at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hot {
    pub text: Arc<str>,
    /// Counters and the versions that they must still have: the key's own, and one for each tag.
    pub versions: Vec<(usize, i32)>,
    pub ttl: Ttl,
}

/// The answer to one operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Value(Json),
    /// A value from the near cache, with what JavaScript needs to keep it.
    Hot(Hot),
    /// Not answered yet.
    Later,
    Miss,
    Done,
    Number(i64),
    Flag(bool),
    /// Milliseconds left.
    Left(Ttl),
    /// `getOrCompute`: the value was there.
    Hit(Json),
    /// `getOrCompute`: this caller runs the function, for the flight `token`.
    Lead(u32),
    /// As `Lead`, with a value in hand whose age in milliseconds this is; negative while it is still fresh.
    LeadOver(u32, i64, Arc<str>),
    /// `getOrCompute`: the flight `token` of the same environment has it under way.
    Follow(u32),
    /// `getOrCompute`: another environment has it under way; the answer comes under the waiter's id.
    Wait,
    /// `getOrCompute`: the other environment's function returned undefined.
    Nothing,
    /// `getOrCompute`: whoever computed it failed or is gone. Ask again.
    Again,
    /// `getOrCompute`: a stale value that is of use to this caller; somebody else computes its successor.
    Stale(Json),
    /// `getOrComputeMany`: somebody else computes it.
    Elsewhere,
    Error(CallError),
}

/// Where replies and events go: one for each environment of JavaScript. It must never block, and may be gone at any moment.
pub trait Sink: Send + Sync {
    /// Which environment this is.
    fn client(&self) -> u32;
    /// Whether the environment has ended. Set before its flights are forgotten, so that none begins behind that.
    fn closed(&self) -> bool;
    /// The replies of the batch, task or waiter `id`, in the order of its operations.
    fn complete(&self, id: u32, replies: &[Reply]);
    /// A change that listeners are told of, as a JSON object.
    fn event(&self, json: String);
    /// The counters that this environment's hot values are checked against, if it keeps any.
    fn versions(&self) -> Option<Arc<dyn Versions>>;
}

/// Where the replies of one batch go.
#[derive(Clone)]
pub struct ReplyTo {
    pub sink: Arc<dyn Sink>,
    pub id: u32,
}

impl ReplyTo {
    pub fn complete(&self, replies: &[Reply]) {
        self.sink.complete(self.id, replies);
    }
}
