//! One flight: who waits for it, and what becomes of them.

use std::sync::Arc;

use crate::engine::base::mutant;
use crate::engine::base::text::{Json, Kept};
use crate::engine::call::batch::Why;
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::task::signal::Signal;
use crate::engine::value::codec::Codec;
use crate::engine::value::life::Stale;
use crate::engine::value::tag_list::Tag;

/// A caller of `getOrCompute` and what it can use.
pub struct Caller {
    /// Where a late answer goes.
    pub to: ReplyTo,
    /// A stale value of up to this age, in milliseconds, is of use to it.
    pub window: u64,
    /// It wants to be told if somebody else computes the key.
    pub many: bool,
    /// What its cache stores: a value of another codec is none to it.
    pub codec: Codec,
}

impl Caller {
    pub fn client(&self) -> u32 {
        self.to.sink.client()
    }
}

/// What a caller does.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// Read the key for the flight of this token, then call `found`, `lead` or `hold`.
    Read(u32),
    /// Its own environment computes it.
    Follow(u32),
    /// The answer comes under the waiter's id.
    Wait,
    /// Another environment computes it, and this is of use meanwhile.
    Stale(Kept),
    /// Somebody else computes it, and the caller wanted to know.
    Elsewhere,
}

/// Why a flight may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It computes for this process alone.
    None,
    /// Its marker lies at the key.
    Key,
    /// It holds the lock under which the entry at the key is refreshed.
    Refresh,
}

/// What a computation replaces.
#[derive(Debug, Clone)]
pub struct Over {
    pub stale: Stale,
    /// The bytes by which Redis tells that the entry is still the same; empty on the in-process tier.
    pub identity: Box<[u8]>,
    /// The names of the tags that the entry has.
    pub tags: Vec<Arc<str>>,
}

/// How a computation ended.
pub enum Outcome {
    Value(Kept),
    /// The function returned undefined.
    Nothing,
    /// It threw.
    Failed,
    /// Nobody is to wait for it any more: its cache was closed, or too many like it run on.
    Left,
}

impl From<Why> for Outcome {
    fn from(why: Why) -> Self {
        match why {
            Why::Nothing => Self::Nothing,
            Why::Failed => Self::Failed,
            Why::Left => Self::Left,
        }
    }
}

/// Who computes, after a read or a lease.
#[must_use = "waiters that are not told wait for ever"]
#[derive(Default)]
pub struct Led {
    /// Somebody does.
    pub leads: bool,
    /// Wakes when the lease is to be given up, where there is one.
    pub given_up: Option<Arc<Signal>>,
    pub answers: Answers,
}

/// Replies to waiters: made under the lock, sent after it, and after the reply of the caller that brought them about.
#[must_use = "waiters that are not told wait for ever"]
#[derive(Default)]
pub struct Answers(Vec<(ReplyTo, Reply)>);

impl Answers {
    pub fn send(self) {
        for (to, reply) in self.0 {
            to.complete(&[reply]);
        }
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn push(&mut self, caller: Caller, reply: Reply) {
        self.0.push((caller.to, reply));
    }

    pub fn all(callers: Vec<Caller>, reply: &Reply) -> Self {
        Self(callers.into_iter().map(|caller| (caller.to, reply.clone())).collect())
    }

    /// Gives those for whom it is of use the stale value.
    pub fn serve(&mut self, callers: &mut Vec<Caller>, stale: &Stale, now: u64) {
        for caller in callers.extract_if(.., |caller| stale.serves(caller.window, now)) {
            self.push(caller, Reply::Stale(Json::Shared(stale.json.clone())));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Reading,
    /// Its read has been judged, and its lease is asked for by a script of its own.
    Asking,
    Computing,
}

pub struct Flight {
    pub token: u32,
    /// The environment that leads.
    pub client: u32,
    pub state: State,
    pub fenced: bool,
    pub overdue: bool,
    /// Another client may have changed the key since, or a tag of what it is to replace has ended: that is not served
    /// to who asks from here on.
    pub outdated: bool,
    /// How many tags had ended when it began.
    pub tag_ends: u64,
    /// Its read has been answered, and waits to be judged: what is written from here on it does not know.
    pub answered: bool,
    pub lease: Lease,
    /// Wakes who renews the lease, to give it up.
    pub given_up: Option<Arc<Signal>>,
    /// The id of the waiter that leads, where it was not told by the reply of its batch.
    pub led_by: Option<u32>,
    /// What its callers' caches store.
    pub codec: Codec,
    /// Its lease was asked for along with its read: the marker may lie there already.
    pub asked: bool,
    /// Where the lock lies under which it refreshes the entry at its key.
    pub lock: Option<Box<str>>,
    /// When its function began, in milliseconds.
    pub since: Option<u64>,
    /// What it replaces, if there is something.
    pub over: Option<Over>,
    /// The tokens that its tags had when it began.
    pub tags: Vec<Tag>,
    /// Another process computes the key.
    pub elsewhere: bool,
    pub waiters: Vec<Caller>,
}

impl Flight {
    pub fn new(token: u32, caller: &Caller, tag_ends: u64) -> Self {
        Self {
            token,
            tag_ends,
            client: caller.client(),
            state: State::Reading,
            fenced: false,
            overdue: false,
            outdated: false,
            answered: false,
            lease: Lease::None,
            given_up: None,
            led_by: None,
            codec: caller.codec,
            asked: false,
            lock: None,
            since: None,
            over: None,
            tags: Vec::new(),
            elsewhere: false,
            waiters: Vec::new(),
        }
    }

    /// Whether callers of this codec share it.
    pub fn takes(&self, codec: Codec) -> bool {
        let outdated = self.outdated && self.over.is_some() && !mutant::lacks("outdated");
        let answered = self.answered && self.state == State::Reading;
        !self.fenced && !self.overdue && !outdated && !answered && (self.codec == codec || mutant::lacks("codec"))
    }

    pub fn is_computing(&self) -> bool {
        self.state == State::Computing
    }

    /// Its result is not stored any more.
    pub fn fence(&mut self) {
        self.fenced = true;
        self.give_up();
    }

    /// What it holds in Redis goes at once.
    pub fn give_up(&self) {
        if let Some(given_up) = &self.given_up {
            given_up.raise();
        }
    }

    pub fn join(&mut self, caller: Caller, now: u64) -> Begin {
        if self.state == State::Computing && self.client == caller.client() {
            return Begin::Follow(self.token);
        }
        match &self.over {
            Some(over) if over.stale.serves(caller.window, now) && self.state == State::Computing => {
                return Begin::Stale(over.stale.json.clone());
            }
            _ => {}
        }
        if caller.many && (self.elsewhere || self.state == State::Computing) {
            return Begin::Elsewhere;
        }
        self.waiters.push(caller);
        Begin::Wait
    }

    /// Its function runs from here on: that of `first`, or else of the caller whose batch began it. Those of its
    /// environment follow it, those of others for whom the old value is of use get it.
    pub fn take_off(&mut self, lease: Lease, first: Option<Caller>, now: u64) -> Led {
        let mut answers = Answers::default();
        self.state = State::Computing;
        self.since = Some(now);
        self.lease = lease;
        self.given_up = (lease != Lease::None).then(Arc::default);
        if let Some(first) = first {
            self.client = first.client();
            self.led_by = Some(first.to.id);
            let reply = match &self.over {
                Some(over) if over.stale.serves(first.window, now) => {
                    Reply::LeadOver(self.token, over.stale.age(now), over.stale.json.clone())
                }
                _ => Reply::Lead(self.token),
            };
            answers.push(first, reply);
        }
        let client = self.client;
        for caller in self.waiters.extract_if(.., |caller| caller.client() == client) {
            answers.push(caller, Reply::Follow(self.token));
        }
        if let Some(over) = &self.over {
            answers.serve(&mut self.waiters, &over.stale, now);
        }
        for caller in self.waiters.extract_if(.., |caller| caller.many) {
            answers.push(caller, Reply::Elsewhere);
        }
        Led { leads: true, given_up: self.given_up.clone(), answers }
    }
}
