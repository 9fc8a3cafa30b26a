//! Calls that are to be sent once more, and those of the same slots that wait behind them.
//!
//! **The problem.** One server does the calls of a key in the order in which they were made. Where a slot moves, some
//! of them have been done by its old owner, others come back, and further ones are called meanwhile. Sent on as they
//! come, a read would overtake the write in front of it.
//!
//! **The approach.** From the first call that comes back until the last one is on its way again, its slot is on a
//! *detour*: calls of the slot wait in a queue. Nothing of it is sent before the old owner has answered all that was
//! sent to it before, as more of it may still come back. What is to be sent to the new owner *for this once* (ASK) must
//! be answered before the rest goes, which goes to the old one again.
//!
//! Where the router learns by another way that a slot has another owner, calls of it may still be under way to the one
//! before, and may come back: they go first, so the slot's next ones wait for these answers ([`Detours::left`]).
//!
//! **The limit.** Calls of a slot that is on its way wait for each other, however many keys it has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::base::mutant;
use crate::engine::cache::job::Awaited;
use crate::engine::call::batch::Batch;
use crate::engine::fleet::slot::Slots;
use crate::engine::route::counts::Counts;
use crate::engine::route::joint::Joint;

/// A call is sent on so often at the most, within its time: what then still has no server is answered in process.
pub const MOST_HOPS: u8 = 32;
/// So many redirects are followed at once; while servers do not agree there is a pause in front of each further one.
const HOPS_AT_ONCE: u8 = 2;
/// After so many, who redirects may not be who is meant: a server that was replaced under its name.
pub const HOPS_OF_A_STRANGER: u8 = 8;
/// Calls wait for so long beyond their deadline, where others of their slot are still to be answered.
const LONGEST_LATE: Duration = Duration::from_millis(20);
/// The longest first pause, which is also that of a command whose keys are on their way (TRYAGAIN); it doubles.
const TRY_AGAIN: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The longest pause before a call is sent again; none where it goes at once.
pub fn pause(hops: u8, tried_again: bool) -> Option<Duration> {
    let doublings = u32::from(hops.saturating_sub(HOPS_AT_ONCE + 1)).min(8);
    (tried_again || hops > HOPS_AT_ONCE).then(|| TRY_AGAIN.saturating_mul(1 << doublings).min(LONGEST_WAIT))
}

/// A call that waits on a detour.
pub struct Item {
    pub joint: Arc<Joint>,
    /// Its place in the whole.
    pub place: u32,
    /// The call alone.
    pub batch: Batch,
    pub hops: u8,
    /// The server to which it goes for this once.
    pub asks: Option<u16>,
    /// The tokens of its tags, as they were where it was called.
    pub tokens: Option<Awaited>,
}

struct Detour {
    items: VecDeque<Item>,
    /// The answers of this server to all parts in front of this number are waited for,
    answers: (u16, u64),
    /// and this moment.
    until: Option<Instant>,
    /// Since when calls are late that wait for answers.
    late: Option<Instant>,
}

/// What may go on now: calls for one server.
pub struct Ready {
    pub slot: u16,
    pub items: Vec<Item>,
    pub asks: Option<u16>,
}

/// Slots that have left a server, to which parts up to this number were sent.
struct Left {
    from: u16,
    number: u64,
    slots: Slots,
}

pub struct Detours {
    slots: BTreeMap<u16, Detour>,
    left: Vec<Left>,
    counts: Arc<Counts>,
}

impl Detours {
    pub fn new(counts: &Arc<Counts>) -> Self {
        Self { slots: BTreeMap::new(), left: Vec::new(), counts: counts.clone() }
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn has(&self, slot: u16) -> bool {
        (!self.slots.is_empty() || !self.left.is_empty())
            && (self.slots.contains_key(&slot) || self.left_from(slot).is_some())
            && !mutant::lacks("detour")
    }

    /// Slots have left servers; by the place of each.
    pub fn left(&mut self, slots: Vec<(u16, Slots)>) {
        let counts = &self.counts;
        self.left.retain(|left| !counts.reached(left.from, left.number));
        for (from, slots) in slots {
            let number = counts.next(from);
            if !counts.reached(from, number) {
                self.left.push(Left { from, number, slots });
            }
        }
    }

    /// Who may still have calls of a slot under way that has left it, and up to which number.
    fn left_from(&self, slot: u16) -> Option<(u16, u64)> {
        let is_under_way = |left: &&Left| left.slots.contains(slot) && !self.counts.reached(left.from, left.number);
        self.left.iter().find(is_under_way).map(|left| (left.from, left.number))
    }

    /// A call came back from a server. `until`: it is not sent again before.
    pub fn back(&mut self, slot: u16, item: Item, from: u16, until: Option<Instant>) {
        self.counts.watch(true);
        let answers = (from, self.counts.next(from));
        let detour =
            self.slots.entry(slot).or_insert_with(|| Detour { items: VecDeque::new(), answers, until, late: None });
        // What was sent first may come back last: its batch may wait for the tokens of what it has read.
        let order = |item: &Item| (item.joint.order(), item.place);
        let at = detour.items.iter().position(|other| order(other) > order(&item) && !mutant::lacks("late"));
        detour.items.insert(at.unwrap_or(detour.items.len()), item);
        (detour.answers, detour.until) = (answers, until);
    }

    /// A call of a slot that is on a detour, or that has left a server which still has calls of it.
    pub fn behind(&mut self, slot: u16, item: Item) {
        // Answered meanwhile: it waits for nothing.
        let answers = self.left_from(slot).unwrap_or((0, 0));
        self.counts.watch(true);
        let detour = || Detour { items: VecDeque::new(), answers, until: None, late: None };
        self.slots.entry(slot).or_insert_with(detour).items.push_back(item);
    }

    /// A slot whose first calls may go now. Whoever takes them tells `sent`.
    pub fn ready(&mut self, now: Instant) -> Option<Ready> {
        let counts = &self.counts;
        let is_over = |Detour { answers: (place, number), until, .. }: &Detour| {
            until.is_none_or(|moment| moment <= now) && counts.reached(*place, *number)
        };
        let (&slot, detour) = self.slots.iter_mut().find(|(_, detour)| is_over(detour))?;
        let asks = detour.items.front().and_then(|item| item.asks);
        let mut items = Vec::new();
        while detour.items.front().is_some_and(|item| item.asks == asks) {
            items.extend(detour.items.pop_front());
        }
        Some(Ready { slot, items, asks })
    }

    /// They were sent, as the part `number` to a server, or answered otherwise.
    pub fn sent(&mut self, slot: u16, part: Option<(u16, u64)>, asked: bool) {
        let Some(detour) = self.slots.get_mut(&slot) else { return };
        match part {
            // What was asked for once is to be answered before the rest goes to another server.
            Some((place, number)) if asked || !detour.items.is_empty() => {
                (detour.answers, detour.until) = ((place, number + 1), None);
            }
            _ if detour.items.is_empty() => _ = self.slots.remove(&slot),
            _ => {}
        }
        if self.slots.is_empty() {
            self.counts.watch(false);
        }
    }

    /// Those whose time is over. What was called before them may be about to be answered in process, as late as they
    /// are: it goes first, or theirs would be the older value there.
    pub fn late(&mut self, now: Instant) -> Vec<Item> {
        let mut late = Vec::new();
        for detour in self.slots.values_mut() {
            let is_late = |item: &Item| item.joint.deadline() <= now;
            if !detour.items.iter().any(is_late) {
                continue;
            }
            let is_answered = self.counts.reached(detour.answers.0, detour.answers.1);
            if !is_answered && now < *detour.late.get_or_insert(now) + LONGEST_LATE {
                continue;
            }
            detour.late = None;
            let (over, left): (Vec<_>, Vec<_>) = std::mem::take(&mut detour.items).into_iter().partition(is_late);
            detour.items = left.into();
            late.extend(over);
        }
        late
    }

    pub fn next_moment(&self) -> Option<Instant> {
        // A moment that has passed while answers are still to come is none: nobody would get to bring these.
        let is_answered = |detour: &&Detour| self.counts.reached(detour.answers.0, detour.answers.1);
        let waits = self.slots.values().filter(is_answered).filter_map(|detour| detour.until);
        let deadlines = self.slots.values().flat_map(|detour| {
            let late = detour.late.filter(|_| !is_answered(&detour)).map(|since| since + LONGEST_LATE);
            detour
                .items
                .iter()
                .map(move |item| late.map_or(item.joint.deadline(), |late| late.max(item.joint.deadline())))
        });
        waits.chain(deadlines).min()
    }
}
