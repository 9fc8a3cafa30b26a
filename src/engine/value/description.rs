//! What lies at a key, as `inspect` tells it to people and tools: everything but the value.

use serde_json::json;

use crate::engine::value::entry::{self, Meta};
use crate::engine::value::{codec, record::Standing};

/// What it is to a reader. The names are those of `index.d.ts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    /// Of use to who takes old values.
    Stale,
    /// One of its tags has been ended.
    Ended,
    /// The marker of a computation.
    Computing,
    /// Another type of Redis' than a string.
    Foreign,
    /// A header of another version, or one that is broken.
    Unreadable,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Ended => "ended",
            Self::Computing => "computing",
            Self::Foreign => "foreign",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What is stored, but for the value.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub meta: Option<&'a Meta>,
    /// Milliseconds until the key goes, `u64::MAX` for never.
    pub left: u64,
    /// Of all that is stored.
    pub bytes: u64,
    pub standing: Standing,
}

/// Of what Redis has, by its first bytes.
pub fn of_head(head: &[u8], stored: Stored<'_>) -> String {
    let state = match (entry::meta_of(head), head) {
        (None, head) if codec::is_marker(head) => State::Computing,
        (None, head) if entry::is_headed(head) => State::Unreadable,
        _ => state_of(&stored),
    };
    written(state, stored, entry::form_of(head))
}

/// Of another type than a string.
pub fn of_foreign(left: u64) -> String {
    let stored = Stored { meta: None, left, bytes: 0, standing: Standing::Stands };
    written(State::Foreign, stored, None)
}

/// Of what this process has.
pub fn of_entry(stored: Stored<'_>) -> String {
    written(state_of(&stored), stored, None)
}

fn state_of(stored: &Stored<'_>) -> State {
    let extra = stored.meta.map_or(0, |meta| meta.extra_ms);
    match stored.standing {
        Standing::Ended => State::Ended,
        Standing::Soft(_) => State::Stale,
        Standing::Stands if stored.left <= extra => State::Stale,
        Standing::Stands => State::Fresh,
    }
}

/// For ever is null; what is no value has no time left.
fn written(state: State, stored: Stored<'_>, form: Option<(codec::Codec, bool)>) -> String {
    let Stored { meta, left, bytes, .. } = stored;
    let extra = meta.map_or(0, |meta| meta.extra_ms);
    let span = |ms: u64| (ms < u64::MAX).then_some(ms);
    let fresh = if left == u64::MAX { left } else { left.saturating_sub(extra) };
    let tags: Vec<&str> = meta.map(|meta| meta.tags.iter().map(|(name, _)| name).collect()).unwrap_or_default();
    json!({
        "state": state.name(),
        "ttlMs": if state == State::Fresh { span(fresh) } else { Some(0) },
        "keptMs": span(left),
        "bytes": bytes,
        "codec": form.map(|(codec, _)| codec.name()),
        "compressed": form.is_some_and(|(_, compressed)| compressed),
        "tags": tags,
        "computeMs": meta.map(|meta| meta.delta_ms).filter(|ms| *ms > 0),
    })
    .to_string()
}
