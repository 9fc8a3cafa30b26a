//! One environment of JavaScript: its lane and its hot values, as src/js/bridge and src/js/hot keep them.
//!
//! This is a port of what decides there: which calls make a batch, what waits for the window, when a read may be
//! answered from a hot value or by a peek, and when a value becomes hot. Promises are the world's: calls.rs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::schedule::{CachePlan, Settings};
use crate::world::mailbox::{Came, Mailbox, Sent};
use crate::world::process::Native;
use holdfast::engine::base::text::{Json, Kept, Span};
use holdfast::engine::call::batch::{Batch, Extras, Op, Task};
use holdfast::engine::call::reply::{Hot as Found, Reply, Submitted};
use holdfast::engine::call::sink::{ReplyTo, Sink};
use holdfast::engine::front::Front;

/// After a hit in the near cache, peek for this many reads that follow; else for one read in `PEEK_ONE_IN`.
const HIT_CREDIT: u32 = 8;
const PEEK_ONE_IN: u32 = 16;

/// Who waits for a reply: a number that the world gave. From `LATE` on, ids under which late answers come.
pub type Waits = u64;
pub const LATE: Waits = 1 << 63;

/// Calls of one turn that are not handed over yet.
#[derive(Default)]
struct Open {
    batch: Batch,
    waits: Vec<Waits>,
    task: Option<Task>,
}

/// A hot value.
struct Hot {
    text: Arc<str>,
    versions: Vec<(usize, i32)>,
    /// In milliseconds of the engine's clock.
    deadline: u64,
}

pub struct Environment {
    pub mail: Arc<Mailbox>,
    front: Arc<dyn Native>,
    near: bool,
    raw: bool,
    clock: usize,
    open: Open,
    sealed: VecDeque<Open>,
    /// Batches under way.
    sent: BTreeMap<u32, Sent>,
    under_way: usize,
    window: usize,
    part: usize,
    /// Calls of a group that are still to come.
    grouped: usize,
    now: u64,
    last_id: u32,
    hot: BTreeMap<String, Hot>,
    credit: u32,
    peeks: u32,
    /// Replies that are there, for whom.
    pub answered: Vec<(Waits, Reply)>,
    /// The thread has ended.
    pub ended: bool,
}

impl Environment {
    pub fn new(front: &Arc<Front>, cache: &CachePlan, settings: &Settings) -> Self {
        let mail = Arc::new(Mailbox::new());
        let server = front.shared().server("").clone();
        server.near.share(mail.versions.clone());
        let sink: Arc<dyn Sink> = mail.clone();
        front.shared().status.subscribe(Arc::downgrade(&sink));
        Self::over(front.clone(), mail, front.shared().fleet.clock(), cache, settings)
    }

    /// `clock`: where among the counters stands until when Redis vouches.
    pub(super) fn over(
        front: Arc<dyn Native>,
        mail: Arc<Mailbox>,
        clock: usize,
        cache: &CachePlan,
        settings: &Settings,
    ) -> Self {
        Self {
            mail,
            front,
            near: cache.near,
            raw: cache.raw,
            clock,
            open: Open::default(),
            sealed: VecDeque::new(),
            sent: BTreeMap::new(),
            under_way: 0,
            window: settings.window,
            part: settings.part,
            grouped: 0,
            now: 0,
            last_id: 0,
            hot: BTreeMap::new(),
            credit: 0,
            peeks: 0,
            answered: Vec::new(),
            ended: false,
        }
    }

    /// The thread ends: its memory is gone, and what it computed others compute.
    pub fn end(&mut self) {
        self.ended = true;
        self.mail.closed.store(true, Ordering::SeqCst);
        self.front.end(&self.mail);
    }

    /// An id for a late answer, or a batch. 0 means an event.
    pub fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether no call of its own is here or under way.
    pub fn is_idle(&self) -> bool {
        !self.waits() && self.sent.is_empty()
    }

    /// Whether a call is here that is not handed over yet.
    pub fn waits(&self) -> bool {
        !self.open.waits.is_empty() || !self.sealed.is_empty()
    }

    /// What a read finds here at once: a hot value, or what the near cache holds.
    pub fn at_once(&mut self, key: &str, now: u64) -> Option<Arc<str>> {
        self.hot_value(key, now).or_else(|| self.peek(key, now))
    }

    fn hot_value(&mut self, key: &str, now: u64) -> Option<Arc<str>> {
        let hot = self.hot.get(key)?;
        let counters = self.mail.versions.counters();
        let until = counters[self.clock].load(Ordering::SeqCst);
        if (now as i32).wrapping_sub(until) > 0 {
            self.hot.clear();
            return None;
        }
        let stands = hot.versions.iter().all(|(slot, version)| counters[*slot].load(Ordering::SeqCst) == *version);
        if stands && now < hot.deadline {
            return Some(hot.text.clone());
        }
        self.hot.remove(key);
        None
    }

    fn peek(&mut self, key: &str, now: u64) -> Option<Arc<str>> {
        if !self.near || self.waits() {
            return None;
        }
        if self.credit == 0 {
            self.peeks += 1;
            if !self.peeks.is_multiple_of(PEEK_ONE_IN) {
                return None;
            }
        }
        let Some(found) = self.front.peek(key, &*self.mail.versions) else {
            self.credit = self.credit.saturating_sub(1);
            return None;
        };
        self.credit = HIT_CREDIT;
        let text = found.text.clone();
        self.admit(key, found, now);
        Some(text)
    }

    /// Keeps a value as a hot one. What may not be kept came without versions.
    fn admit(&mut self, key: &str, found: Found, now: u64) {
        let Found { text, versions, ttl } = found;
        if versions.is_empty() {
            return;
        }
        let deadline = ttl.deadline(now);
        self.hot.insert(key.to_owned(), Hot { text, versions, deadline });
    }

    /// Adds an operation to this turn. `make` gets the places of its key and value in the text.
    pub fn push(
        &mut self,
        key: &str,
        value: &str,
        extras: Option<Extras>,
        waits: Waits,
        make: impl FnOnce(Span, Span, Option<u32>) -> Op,
    ) {
        let batch = &mut self.open.batch;
        let key_at = place(batch, key);
        // A codec of bytes sends base64.
        let value_at = if self.raw && !value.is_empty() {
            place(batch, &format!("\"{}\"", STANDARD.encode(value)))
        } else {
            place(batch, value)
        };
        let more = extras.map(|extras| {
            batch.extras.push(extras);
            batch.extras.len() as u32 - 1
        });
        let op = make(key_at, value_at, more);
        if op.writes() {
            // Now, and not only when the engine sees the write at the end of the turn.
            self.hot.remove(key);
        }
        batch.ops.push(op);
        self.open.waits.push(waits);
        if self.grouped > 0 {
            self.grouped -= 1;
        } else if self.open.waits.len() >= self.part {
            self.flush(self.now);
        }
    }

    /// A group of so many calls follows, which stays together in one batch.
    pub fn group(&mut self, count: usize) {
        self.grouped = count;
        if self.open.waits.len() + count > self.part {
            self.seal();
        }
    }

    /// A read of this turn. `early`: what the near cache holds may be answered before the rest of the batch.
    pub fn read(&mut self, key: &str, waits: Waits, early: bool) {
        let hot = early && self.near;
        self.push(key, "", None, waits, |key, _, _| Op::Get { key, early, hot });
    }

    /// Long work: behind all earlier calls, and handed over at once.
    pub fn run(&mut self, task: Task, waits: Waits, now: u64) {
        self.hot.clear();
        self.seal();
        self.sealed.push_back(Open { batch: Batch::default(), waits: vec![waits], task: Some(task) });
        self.release(now);
    }

    /// Hands over the gathered calls before a hot value is read again: they end more than the keys that they name.
    pub fn flush_ahead(&mut self, now: u64) {
        self.flush(now);
        if !self.sealed.is_empty() {
            self.hot.clear();
        }
    }

    /// The turn is over: hands over the gathered calls, as far as the window allows.
    pub fn flush(&mut self, now: u64) {
        self.seal();
        self.release(now);
    }

    fn seal(&mut self) {
        if !self.open.waits.is_empty() {
            self.sealed.push_back(std::mem::take(&mut self.open));
        }
    }

    fn release(&mut self, now: u64) {
        while let Some(first) = self.sealed.front() {
            if self.under_way > 0 && self.under_way + first.waits.len() > self.window {
                break;
            }
            let Some(open) = self.sealed.pop_front() else { break };
            self.submit(open, now);
        }
    }

    fn submit(&mut self, open: Open, now: u64) {
        let Open { batch, waits, task } = open;
        let id = self.next_id();
        let to = ReplyTo { sink: self.mail.clone(), id };
        if let Some(task) = task {
            match self.front.run(task, &to) {
                Some(reply) => self.answered.push((waits[0], reply)),
                None => self.send(id, waits),
            }
            return;
        }
        let keys: Vec<String> = batch.ops.iter().map(|op| op.key().map_or("", |span| batch.str(span)).into()).collect();
        match self.front.submit(batch, &to) {
            Submitted::Answered(replies) => self.take(&keys, &waits, replies, now),
            Submitted::Partly(replies) => {
                self.take(&keys, &waits, replies, now);
                self.send(id, waits);
            }
            Submitted::Later => self.send(id, waits),
        }
    }

    fn send(&mut self, id: u32, waits: Vec<Waits>) {
        self.under_way += waits.len();
        self.sent.insert(id, Sent::new(waits));
    }

    /// Replies that came within the call.
    fn take(&mut self, keys: &[String], waits: &[Waits], replies: Vec<Reply>, now: u64) {
        // A call that still waits may write one of these keys: a read behind it must not find the old value.
        let keeps = !self.waits();
        for ((reply, waits), key) in replies.into_iter().zip(waits).zip(keys) {
            let reply = match reply {
                Reply::Later => continue,
                Reply::Hot(found) => {
                    let text = found.text.clone();
                    if keeps {
                        self.admit(key, found, now);
                    }
                    Reply::Value(Json::Shared(Kept::Json(text)))
                }
                reply => reply,
            };
            self.answered.push((*waits, reply));
        }
    }

    /// The engine's replies that have come, in their order.
    pub fn wake(&mut self, now: u64) {
        self.now = now;
        let came = self.mail.take_replies();
        for Came { id, places, replies } in came {
            let Some(sent) = self.sent.get_mut(&id) else {
                self.answered.extend(replies.into_iter().map(|reply| (LATE + Waits::from(id), reply)));
                continue;
            };
            self.under_way -= sent.take(places, replies, &mut self.answered);
            if sent.is_over() {
                self.sent.remove(&id);
            }
            self.release(now);
        }
    }
}

fn place(batch: &mut Batch, text: &str) -> Span {
    let start = batch.text.len() as u32;
    batch.text.push_str(text);
    Span { start, end: batch.text.len() as u32 }
}
