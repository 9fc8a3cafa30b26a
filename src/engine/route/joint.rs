//! A batch whose calls are under way on several servers: one answer, once the last of them is there; or, where one
//! server lets the others wait, an answer for each server.
//!
//! Each answer wakes the event loop, and a wake-up costs it more than the replies do. So those of servers that answer
//! at about the same time travel together. A server that is slow, or away, holds up nobody but those who called it:
//! [`TOGETHER`] after the first answer the router has what is there told ([`Joint::tell`]), and what comes later is
//! told as it comes.

use std::sync::{Arc, Weak};
use std::time::Instant;

use futures_channel::mpsc::UnboundedSender;
use parking_lot::Mutex;

use crate::engine::cache::job::{Job, Part, Whole, Work};
use crate::engine::cache::local;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::{Bounce, Reply};
use crate::engine::call::sink::ReplyTo;
use crate::engine::fleet::server::Server;
use crate::engine::route::counts::Counts;
use crate::engine::route::together::{Shared, TOGETHER, Together};
use crate::engine::value::tags::Tokens;

/// A call that its server did not do.
pub struct Bounced {
    pub joint: Arc<Joint>,
    /// Its place in the whole.
    pub place: u32,
    /// The call alone.
    pub batch: Batch,
    pub bounce: Bounce,
    /// Which server that was, and how often the call was sent on before.
    pub from: u16,
    pub hops: u8,
    /// The tokens of its tags, as far as they were known.
    pub tokens: Tokens,
}

/// What a joint tells the router.
pub enum News {
    Bounced(Vec<Bounced>),
    /// A part was answered that somebody may wait for.
    Answered,
}

/// What the batches of a router share.
pub struct Answering {
    pub counts: Arc<Counts>,
    pub together: Arc<Together>,
    pub news: UnboundedSender<News>,
}

pub struct Joint {
    state: Mutex<State>,
    cache: Arc<Cache>,
    to: ReplyTo,
    since: Instant,
    /// Batches are numbered in their order.
    number: u64,
    together: Arc<Together>,
    counts: Arc<Counts>,
    news: UnboundedSender<News>,
    me: Weak<Self>,
}

struct State {
    /// Until the last reply has been told.
    job: Option<Job>,
    /// What is not there yet is `Reply::Later`; what was told already, anything else.
    replies: Vec<Reply>,
    left: usize,
    /// The places of those that are there and have not been told.
    untold: Vec<u32>,
    /// When the first server answered.
    first: Option<Instant>,
    /// Some have been told: nobody waits for the others any more.
    apart: bool,
}

/// What is to be told once the lock is open.
enum Told {
    Nothing,
    Some(Vec<u32>, Vec<Reply>),
    Whole(Job, Vec<Reply>),
    /// The last ones.
    Rest(Job, Vec<u32>, Vec<Reply>),
}

impl Joint {
    /// `replies`: those that are there already, `Reply::Later` for the others.
    pub fn new(job: Job, replies: Vec<Reply>, crew: &Answering) -> Arc<Self> {
        let places = 0_u32..;
        let untold: Vec<u32> =
            places.zip(&replies).filter(|(_, reply)| **reply != Reply::Later).map(|(at, _)| at).collect();
        let left = replies.len() - untold.len();
        Arc::new_cyclic(|me| Self {
            cache: job.cache.clone(),
            to: job.to.clone(),
            since: job.since,
            number: crew.together.number(),
            state: Mutex::new(State { job: Some(job), replies, left, untold, first: None, apart: false }),
            together: crew.together.clone(),
            counts: crew.counts.clone(),
            news: crew.news.clone(),
            me: me.clone(),
        })
    }

    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// What was called later has a greater one.
    pub fn order(&self) -> u64 {
        self.number
    }

    /// Until when its calls may take.
    pub fn deadline(&self) -> Instant {
        self.since + self.cache.timeout
    }

    fn say(&self, told: Told) {
        match told {
            Told::Nothing => {}
            Told::Some(places, replies) => self.to.complete_some(&places, &replies),
            Told::Whole(job, replies) => job.finish(&replies),
            Told::Rest(job, places, replies) => {
                job.over();
                self.to.complete_some(&places, &replies);
            }
        }
    }

    fn bounced(&self, from: u16, part: &Part, at: usize, batch: &Batch, bounce: Bounce) -> Option<Bounced> {
        let joint = self.me.upgrade()?;
        let (place, mut batch) = (*part.places.get(at)?, batch.some([at]));
        // It was planned, and is to be once more: what is read until then must not be served behind it.
        if let Some(key) = batch.ops.first().filter(|op| op.writes()).and_then(Op::key) {
            let key = self.cache.prefix.join(batch.str(key), &mut String::new()).to_owned();
            batch.called = vec![self.cache.shared().write_called(&key)];
        }
        let tokens = part.tokens.get().cloned().unwrap_or_default();
        Some(Bounced { joint, place, batch, bounce, from, hops: part.hops, tokens })
    }
}

impl Shared for Joint {
    fn number(&self) -> u64 {
        self.number
    }

    fn is_told(&self) -> bool {
        let state = self.state.lock();
        state.job.is_none() || state.apart
    }

    fn has_waited(&self, now: Instant) -> bool {
        self.state.lock().first.is_some_and(|first| first + TOGETHER <= now)
    }

    fn tell(&self) {
        let told = {
            let mut state = self.state.lock();
            if state.first.is_none() || state.job.is_none() {
                return;
            }
            state.apart = true;
            state.told()
        };
        self.say(told);
    }
}

impl State {
    fn put(&mut self, place: u32, reply: &Reply) {
        if let Some(there) = self.replies.get_mut(place as usize)
            && *there == Reply::Later
        {
            *there = reply.clone();
            self.left -= 1;
            self.untold.push(place);
        }
    }

    fn told(&mut self) -> Told {
        let whole = self.left == 0;
        if whole && !self.apart {
            let replies = std::mem::take(&mut self.replies);
            return self.job.take().map_or(Told::Nothing, |job| Told::Whole(job, replies));
        }
        if !self.apart || self.untold.is_empty() {
            return Told::Nothing;
        }
        let mut places = std::mem::take(&mut self.untold);
        places.sort_unstable();
        let of = |place: &u32| self.replies.get_mut(*place as usize).map(|there| std::mem::replace(there, Reply::Done));
        let replies = places.iter().filter_map(of).collect();
        match self.job.take_if(|_| whole) {
            Some(job) => Told::Rest(job, places, replies),
            None => Told::Some(places, replies),
        }
    }
}

impl Whole for Joint {
    fn fill(&self, server: &Server, part: &Part, batch: &Batch, replies: &[Reply]) {
        let mut bounced = Vec::new();
        let told = {
            let mut state = self.state.lock();
            for (at, (place, reply)) in part.places.iter().zip(replies).enumerate() {
                match reply {
                    Reply::Bounced(bounce) => bounced.extend(self.bounced(server.place, part, at, batch, *bounce)),
                    reply => state.put(*place, reply),
                }
            }
            if state.left > 0 && state.first.is_none() {
                state.first = Some(self.cache.shared().clock.now());
            }
            state.told()
        };
        // Before what was sent elsewhere is known to be answered here.
        if !bounced.is_empty() {
            let _ = self.news.unbounded_send(News::Bounced(bounced));
        }
        if self.counts.answered(server.place, part.number) {
            let _ = self.news.unbounded_send(News::Answered);
        }
        if !matches!(told, Told::Nothing) {
            self.together.go_ahead(self.number);
            self.say(told);
        }
    }

    fn common(&self) -> (Arc<Cache>, ReplyTo, Instant) {
        (self.cache.clone(), self.together.behind(&self.to), self.since)
    }
}

/// Nobody has it any more: what was not sent to any server is answered in process.
impl Drop for Joint {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let Some(mut job) = state.job.take() else { return };
        let left: Vec<usize> =
            state.replies.iter().enumerate().filter(|(_, reply)| **reply == Reply::Later).map(|(at, _)| at).collect();
        if let Work::Batch(batch) = &mut job.work {
            let mut rest = batch.some(left.iter().copied());
            let replies = local::run(&self.cache, &mut rest, &self.to);
            for (at, reply) in left.into_iter().zip(&replies) {
                state.put(at as u32, reply);
            }
        }
        state.job = Some(job);
        let told = state.told();
        self.say(told);
    }
}
