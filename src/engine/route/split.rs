//! Which calls of a batch go to which server.
//!
//! Each server gets its calls in their order. The end of a tag is a call of the server that has the tag's token, and is
//! to be in front of what was called behind it, on whatever server: so the calls in front of it, it, and those behind
//! it are parts of their own, even for one server. What is stored under a tag then has its token asked for in between.

use crate::engine::base::key;
use crate::engine::cache::local;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::Reply;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::slot::slot_of;
use crate::engine::route::joint::Joint;
use crate::engine::route::replicas::Choice;
use crate::engine::value::tags;

/// A batch, taken apart.
#[derive(Default)]
pub struct Split {
    /// Replies that are there already; `Reply::Later` for the others.
    pub replies: Vec<Reply>,
    /// In the order in which they are to be sent.
    pub parts: Vec<Calls>,
    /// Calls of slots that are on a detour: the slot, the call's place, and the call alone.
    pub waiting: Vec<(u16, u32, Batch)>,
    /// Of writes that were refused: see `Batch::called`.
    pub planned: Vec<u32>,
}

/// Calls for one server, and their places among those of the batch.
pub struct Calls {
    pub server: u16,
    pub batch: Batch,
    pub places: Vec<u32>,
}

struct Group {
    server: u16,
    ops: Vec<usize>,
    called: Vec<u32>,
    /// See `Batch::ends`.
    ends: Option<u64>,
}

/// `batch` has been rendered. `on_detour`: whether a slot is. `choice`: which replicas are read, where any are.
pub fn split(
    cache: &Cache,
    batch: &mut Batch,
    cluster: &Cluster,
    choice: Option<&Choice<'_>>,
    on_detour: impl Fn(u16) -> bool,
) -> Split {
    let mut split = Split { replies: Vec::with_capacity(batch.ops.len()), ..Split::default() };
    let mut called = std::mem::take(&mut batch.called).into_iter();
    let mut groups: Vec<Group> = Vec::new();
    // Groups in front of this one take no more calls; and whether tags end in those behind it.
    let (mut first, mut ends_tags) = (0, None);
    let mut buffer = String::new();
    batch.ends = Some(cache.shared().tags_ended());
    let mut ends = batch.ends;
    for (at, op) in batch.ops.iter().enumerate() {
        let Some(given) = op.key().map(|span| batch.str(span)) else {
            // What was answered at once has been told: whatever stands here is not looked at.
            split.replies.push(if *op == Op::Answered { Reply::Done } else { local::keyless(batch, op) });
            continue;
        };
        let write = if op.writes() { called.next() } else { None };
        if let Err(error) = tags::check(op, given) {
            split.planned.extend(write);
            split.replies.push(Reply::Error(error));
            continue;
        }
        split.replies.push(Reply::Later);
        let stored = cache.prefix.join(given, &mut buffer);
        let slot = slot_of(stored.as_bytes());
        let ends_tag = key::is_internal(given.as_bytes()) && matches!(op, Op::Del { .. } | Op::EndTag { .. });
        if ends_tag {
            // Its server is in use, and that of entries with the tag may be away: these are in process, or will be, as
            // their own server has not come to their calls yet.
            cache.shared().memory.remove(stored, cache.shared().clock.now_ms());
            cache.shared().tag_ended();
            ends = Some(cache.shared().tags_ended());
        }
        if on_detour(slot) {
            let called = write.into_iter().collect();
            split.waiting.push((slot, at as u32, Batch { called, ends, ..batch.some([at]) }));
            continue;
        }
        if ends_tags.replace(ends_tag) != Some(ends_tag) {
            first = groups.len();
        }
        let owner = cluster.owner(slot);
        let server = choice.and_then(|choice| choice.replica(op, given, stored, (slot, owner))).unwrap_or(owner);
        let at_hand = groups[first..].iter().position(|group| group.server == server);
        let group = at_hand.map_or_else(
            || {
                groups.push(Group { server, ops: Vec::new(), called: Vec::new(), ends });
                groups.len() - 1
            },
            |at| first + at,
        );
        groups[group].ops.push(at);
        groups[group].called.extend(write);
    }
    let calls = |Group { server, ops, called, ends }| {
        let part = Batch { called, ends, ..batch.some(ops.iter().copied()) };
        Calls { server, batch: part, places: ops.into_iter().map(|at| at as u32).collect() }
    };
    split.parts = groups.into_iter().map(calls).collect();
    split
}

/// The slot of the one call of a batch.
pub fn slot_of_one(joint: &Joint, batch: &Batch) -> Option<u16> {
    let key = batch.str(batch.ops.first()?.key()?);
    Some(slot_of(joint.cache().prefix.join(key, &mut String::new()).as_bytes()))
}
