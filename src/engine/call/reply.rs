//! The answers to calls, and where they go: each environment of JavaScript has one sink.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::CallError;
use crate::engine::base::text::{Json, Kept};

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
/// `MAX_ONE_TEXT` of src/js/hot/hot.js.
pub const MAX_HOT_BYTES: usize = 16 << 10;

/// A value that JavaScript may keep, for as long as its versions stand and for `ttl` at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hot {
    pub text: Arc<str>,
    /// Counters and the versions that they must still have: the key's own, and one for each tag.
    pub versions: Vec<(usize, i32)>,
    pub ttl: Ttl,
}

/// Where a call is to go that its server did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounce {
    pub slot: u16,
    /// Only this once, and the server is to be told so: the slot is on its way.
    pub asks: bool,
    /// The place of the server among those of the fleet; 0 where it is not known.
    pub to: u16,
    /// Nobody serves the slot.
    pub unserved: bool,
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
    LeadOver(u32, i64, Kept),
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
    /// It was not done: another server has the key. No caller sees this.
    Bounced(Bounce),
    Error(CallError),
}
