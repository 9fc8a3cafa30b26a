//! A value that was read and removed in one step: what the replies say, and what becomes of the call.

use redis::Value;

use crate::engine::cache::tell::counters::add;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::judge::Judge;
use crate::engine::exchange::plan::Call;
use crate::engine::exchange::reads::{self, Found};
use crate::engine::exchange::writes::{Taking, end_leftover, is_error};
use crate::engine::net::reply::{classify, left};
use crate::engine::value::life::Ask;

/// A value that was taken, or why it was not, and the milliseconds for which it would have lived.
pub(super) struct Taken {
    pub(super) value: Value,
    pub(super) left: Option<u64>,
}

/// What the replies to `take` say; none where not all of them came.
pub(super) fn taken(mut replies: Vec<Value>, how: Taking) -> Option<Taken> {
    if replies.len() < how.replies() {
        return None;
    }
    let refused = |value| Some(Taken { value, left: None });
    if how.whole {
        let exec = replies.pop()?;
        let begun = !is_error(&replies.remove(0));
        match exec {
            Value::Array(parts) => replies = parts,
            // EXECABORT says only that something was refused, what was refused says why.
            exec if begun => return refused(replies.into_iter().find(is_error).unwrap_or(exec)),
            // The rest stood for itself.
            _ => {}
        }
    }
    let mut replies = replies.into_iter();
    let left = if how.timed { replies.next().and_then(left) } else { None };
    let value = replies.next()?;
    match replies.next() {
        // It is there still, and so is nobody's.
        Some(removal) if is_error(&removal) && !is_error(&value) => refused(removal),
        _ => Some(Taken { value, left }),
    }
}

impl Judge {
    /// A value that was read and removed: who asked for it is the only one who gets it.
    pub(super) fn take(&mut self, call: &Call<'_>, taken: Option<Taken>) -> Reply {
        let value = taken.as_ref().map(|taken| &taken.value);
        if let Some(reply) = call.unanswered(value).filter(|_| self.lost) {
            return reply;
        }
        if let Some(bounce) = call.bounced(value).filter(|bounce| !self.lost || !bounce.asks) {
            return Reply::Bounced(bounce);
        }
        let Some(Taken { value, left }) = taken else { return call.locally() };
        if let Value::ServerError(error) = &value {
            return self.refused(call, classify(error)).unwrap_or_else(|| call.locally());
        }
        let is_held = call.is_held();
        if !self.lost && !self.noted {
            call.server.journal.replaced(call.key);
        }
        end_leftover(call.cache, call.key);
        self.held.remove(call.key);
        let found = self.find(call, Some(value), left, Ask::default(), true);
        let found = if is_held { Found::miss() } else { found };
        add(&call.cache.counters.deletes, u64::from(matches!(found, Found::Fresh(..))));
        reads::get(call, found)
    }
}
