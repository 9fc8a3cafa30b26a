//! One pattern that a walk over the server's keys is to remove, and what it removes of a page.

use std::collections::HashSet;
use std::sync::Arc;

use futures_channel::oneshot;

use crate::engine::base::error::Trouble;
use crate::engine::base::pattern::Pattern;
use crate::engine::task::signal::Ending;

/// How a walk ended: how many keys of the caller's there were.
pub type Swept = Result<u64, Trouble>;

/// A pattern that goes on to another server, and the keys that lie there anew.
pub type Passed = (Pattern, HashSet<Box<str>>);

/// A pattern that is to be swept.
pub struct Cover {
    pub id: u64,
    pub pattern: Pattern,
    /// Keys that lie there anew.
    pub except: HashSet<Box<str>>,
    pub removed: u64,
    /// Those who called it and wait; none where it waits for nobody.
    pub live: Vec<oneshot::Sender<Swept>>,
    /// The server refuses to be walked: it hides nothing, and is tried again on the next recovery.
    pub parked: bool,
    /// Its walk has been over all keys; what went by `uncover` may be under way still.
    pub walked: bool,
}

/// A key that a call removes itself, in front of its own commands. Until it is dropped the server may not have done
/// that.
pub struct Removal {
    /// The cover that is told how many keys there were.
    pub id: u64,
    pub(super) _under_way: Arc<Ending>,
}

/// What a call on a key has to do first.
pub enum Covered {
    No,
    /// Remove the key; it is an exception from now on.
    Excepted(Removal),
    /// Remove the key; there is no room for an exception, so it stays covered.
    Still(Removal),
}

/// Keys of a page that are to go, for the cover of this number.
pub struct Picked {
    pub id: u64,
    /// The callers', and not the caches' own.
    pub counts: bool,
    pub keys: Vec<Vec<u8>>,
}

impl Cover {
    pub fn waits(&self) -> bool {
        self.live.is_empty()
    }

    /// Whether a key that its pattern matches is hidden.
    pub fn hides(&self, key: &str) -> bool {
        !self.parked && !self.walked && !self.except.contains(key)
    }

    pub fn excepts(&self, key: &[u8]) -> bool {
        std::str::from_utf8(key).is_ok_and(|key| self.except.contains(key))
    }
}

/// A walk over the server's keys that is under way, or was when the connection ended.
#[derive(Clone)]
pub struct Walk {
    pub cursor: Vec<u8>,
    pub glob: String,
    /// It is for the covers up to this number.
    pub(super) upto: u64,
    pub(super) server: Option<String>,
    /// An exception was passed over.
    pub(super) passed: bool,
}

impl Walk {
    pub(super) fn is_for(&self, cover: &Cover) -> bool {
        cover.id <= self.upto && !cover.parked
    }
}
