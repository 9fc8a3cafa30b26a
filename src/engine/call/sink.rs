//! Where replies and events go, and the counters that an environment of JavaScript shares: it checks hot values against
//! them without a call.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use crate::engine::call::reply::Reply;

/// Versions that JavaScript checks hot values against: 2^17 counters, 512 KiB in each environment. Keys share counters;
/// a shared one makes a hot value be fetched anew too often, never too seldom.
pub const SLOTS: usize = if cfg!(feature = "simulation") { 1 << 8 } else { 1 << 17 };
/// Behind them, until when an engine vouches: for hot values, in the low 32 bits of milliseconds. Engine ids equal
/// modulo CLOCKS share a slot.
pub const CLOCKS: usize = if cfg!(feature = "simulation") { 1 << 4 } else { 1 << 10 };
/// Behind them, whether a version was noted since all were last raised.
pub const NOTED: usize = SLOTS + CLOCKS;
/// Behind that, what JavaScript needs to keep the value that it peeked at: how many versions, milliseconds, then slots
/// and versions in turn.
pub const PEEKED: usize = NOTED + 1;
/// The most versions there: the key's own, and one for each tag. A value with more is not kept.
pub const MOST_PEEKED: usize = 1 + 128;
/// All that an environment shares.
pub const COUNTERS: usize = PEEKED + 2 + 2 * MOST_PEEKED;

/// The version counters of one environment, in memory that it shares with JavaScript.
pub trait Versions: Send + Sync {
    /// `COUNTERS` of them.
    fn counters(&self) -> &[AtomicI32];
}

/// Where replies and events go: one for each environment of JavaScript. It must never block, and may be gone at any
/// moment.
pub trait Sink: Send + Sync {
    /// Which environment this is.
    fn client(&self) -> u32;
    /// Whether the environment has ended. Set before its flights are forgotten, so that none begins behind that.
    fn closed(&self) -> bool;
    /// The replies of the batch, task or waiter `id`, in the order of its operations.
    fn complete(&self, id: u32, replies: &[Reply]);
    /// Some of the replies of the batch `id`: those of the operations at `places`, in their order. Each is given once.
    fn complete_some(&self, id: u32, places: &[u32], replies: &[Reply]);
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

    pub fn complete_some(&self, places: &[u32], replies: &[Reply]) {
        self.sink.complete_some(self.id, places, replies);
    }
}
