//! Batches that several servers have, in the order in which they were called, as far as not all of their replies have
//! been told: so that replies are told in their servers' order, and none waits long for another server's.
//!
//! **Order.** Who is told to follow a function must hear so before its end is told. Both come from one server, and in
//! this order; but the first may be held, for the replies of other servers. So before anything is told, what older
//! batches hold is.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::engine::call::reply::Reply;
use crate::engine::call::sink::{ReplyTo, Sink, Versions};

/// So long the first answer waits for the others, and up to twice as long, as this is looked at once in that time.
pub const TOGETHER: Duration = Duration::from_millis(1);

/// A batch that several servers have.
pub trait Shared: Send + Sync {
    /// Batches are numbered in their order.
    fn number(&self) -> u64;
    /// Nothing of it is held, nor will be.
    fn is_told(&self) -> bool;
    /// The first answer has waited long enough for the others.
    fn has_waited(&self, now: Instant) -> bool;
    /// Tells what is there, if anything is.
    fn tell(&self);
}

#[derive(Default)]
pub struct Together {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The number of the last batch.
    last: u64,
    joints: VecDeque<(u64, Weak<dyn Shared>)>,
    /// When the router looks at them next.
    look: Option<Instant>,
}

impl Together {
    /// A further batch; its number.
    pub fn number(&self) -> u64 {
        let mut held = self.held.lock();
        held.last += 1;
        held.last
    }

    /// Several servers have it.
    pub fn add(&self, joint: Arc<dyn Shared>, now: Instant) {
        let mut held = self.held.lock();
        held.joints.push_back((joint.number(), Arc::downgrade(&joint)));
        held.look.get_or_insert(now + TOGETHER);
    }

    /// Something of the batch `number` is about to be told: what older ones hold goes in front.
    pub fn go_ahead(&self, number: u64) {
        let older: Vec<Arc<dyn Shared>> = {
            let mut held = self.held.lock();
            let is_told = |(_, joint): &(u64, Weak<dyn Shared>)| joint.upgrade().is_none_or(|joint| joint.is_told());
            while held.joints.front().is_some_and(is_told) {
                held.joints.pop_front();
            }
            let older = held.joints.iter().take_while(|(other, _)| *other < number);
            older.filter_map(|(_, joint)| joint.upgrade()).collect()
        };
        older.iter().for_each(|joint| joint.tell());
    }

    /// Tells what has waited long enough.
    pub fn tick(&self, now: Instant) {
        let joints: Vec<Arc<dyn Shared>> = {
            let mut held = self.held.lock();
            if held.look.is_none_or(|look| look > now) {
                return;
            }
            held.joints.retain(|(_, joint)| joint.upgrade().is_some_and(|joint| !joint.is_told()));
            held.look = (!held.joints.is_empty()).then(|| now + TOGETHER);
            held.joints.iter().filter_map(|(_, joint)| joint.upgrade()).collect()
        };
        joints.iter().filter(|joint| joint.has_waited(now)).for_each(|joint| joint.tell());
    }

    pub fn next_moment(&self) -> Option<Instant> {
        self.held.lock().look
    }

    /// Where the late answers of a batch's calls go: behind all that was answered before.
    pub fn behind(self: &Arc<Self>, to: &ReplyTo) -> ReplyTo {
        ReplyTo { sink: Arc::new(Behind { together: self.clone(), sink: to.sink.clone() }), id: to.id }
    }
}

/// It holds no cache: computations may wait for ever.
struct Behind {
    together: Arc<Together>,
    sink: Arc<dyn Sink>,
}

impl Sink for Behind {
    fn client(&self) -> u32 {
        self.sink.client()
    }

    fn closed(&self) -> bool {
        self.sink.closed()
    }

    fn complete(&self, id: u32, replies: &[Reply]) {
        self.together.go_ahead(u64::MAX);
        self.sink.complete(id, replies);
    }

    fn complete_some(&self, id: u32, places: &[u32], replies: &[Reply]) {
        self.together.go_ahead(u64::MAX);
        self.sink.complete_some(id, places, replies);
    }

    fn event(&self, json: String) {
        self.sink.event(json);
    }

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        self.sink.versions()
    }
}
