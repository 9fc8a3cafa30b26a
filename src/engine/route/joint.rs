//! A batch whose calls are under way on several servers: one answer, once the last of them is there.

use std::sync::Arc;
use std::time::Instant;

use futures_channel::mpsc::UnboundedSender;
use parking_lot::Mutex;

use crate::engine::cache::job::{Job, Part, Whole};
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::Batch;
use crate::engine::call::reply::{Bounce, Reply};
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
use crate::engine::fleet::server::Server;
use crate::engine::route::counts::Counts;

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
}

/// What a joint tells the router.
pub enum News {
    Bounced(Vec<Bounced>),
    /// A part was answered that somebody may wait for.
    Answered,
}

pub struct Joint {
    state: Mutex<State>,
    cache: Arc<Cache>,
    late: Arc<Late>,
    id: u32,
    since: Instant,
    counts: Arc<Counts>,
    news: UnboundedSender<News>,
    me: std::sync::Weak<Self>,
}

struct State {
    /// Until it is answered.
    job: Option<Job>,
    replies: Vec<Reply>,
    left: usize,
}

impl Joint {
    /// `replies`: those that are there already, `Reply::Later` for the others.
    pub fn new(job: Job, replies: Vec<Reply>, counts: &Arc<Counts>, news: &UnboundedSender<News>) -> Arc<Self> {
        let left = replies.iter().filter(|reply| matches!(reply, Reply::Later)).count();
        Arc::new_cyclic(|me| Self {
            cache: job.cache.clone(),
            late: Arc::new(Late { sink: job.to.sink.clone(), held: Mutex::new(Some(Vec::new())) }),
            id: job.to.id,
            since: job.since,
            state: Mutex::new(State { job: Some(job), replies, left }),
            counts: counts.clone(),
            news: news.clone(),
            me: me.clone(),
        })
    }

    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Until when its calls may take.
    pub fn deadline(&self) -> Instant {
        self.since + self.cache.timeout
    }

    fn bounced(&self, from: u16, part: &Part, at: usize, batch: &Batch, bounce: Bounce) -> Option<Bounced> {
        let joint = self.me.upgrade()?;
        Some(Bounced { joint, place: *part.places.get(at)?, batch: batch.some([at]), bounce, from, hops: part.hops })
    }
}

impl Whole for Joint {
    fn fill(&self, server: &Server, part: &Part, batch: &Batch, replies: &[Reply]) {
        let mut bounced = Vec::new();
        let whole = {
            let mut state = self.state.lock();
            for (at, (place, reply)) in part.places.iter().zip(replies).enumerate() {
                if let Reply::Bounced(bounce) = reply {
                    bounced.extend(self.bounced(server.place, part, at, batch, *bounce));
                    continue;
                }
                let State { replies, left, .. } = &mut *state;
                if let Some(there) = replies.get_mut(*place as usize) {
                    *left -= usize::from(matches!(there, Reply::Later));
                    *there = reply.clone();
                }
            }
            if state.left == 0 { state.job.take().map(|job| (job, std::mem::take(&mut state.replies))) } else { None }
        };
        // Before what was sent elsewhere is known to be answered here.
        if !bounced.is_empty() {
            let _ = self.news.unbounded_send(News::Bounced(bounced));
        }
        if self.counts.answered(server.place, part.number) {
            let _ = self.news.unbounded_send(News::Answered);
        }
        if let Some((job, replies)) = whole {
            job.finish(&replies);
            self.late.told();
        }
    }

    fn common(&self) -> (Arc<Cache>, ReplyTo, Instant) {
        (self.cache.clone(), ReplyTo { sink: self.late.clone(), id: self.id }, self.since)
    }
}

/// Under whose id, and what.
type Answer = (u32, Vec<Reply>);

/// Where the late answers of a batch's calls go: not in front of the reply that says that there will be one. It holds
/// no cache: computations may wait for ever.
struct Late {
    sink: Arc<dyn Sink>,
    /// Until that reply has been given.
    held: Mutex<Option<Vec<Answer>>>,
}

impl Late {
    /// The reply was given: what waited for that follows, in its order.
    fn told(&self) {
        let mut held = self.held.lock();
        for (id, replies) in held.take().unwrap_or_default() {
            self.sink.complete(id, &replies);
        }
    }
}

impl Sink for Late {
    fn client(&self) -> u32 {
        self.sink.client()
    }

    fn closed(&self) -> bool {
        self.sink.closed()
    }

    fn complete(&self, id: u32, replies: &[Reply]) {
        match &mut *self.held.lock() {
            Some(held) => held.push((id, replies.to_vec())),
            None => self.sink.complete(id, replies),
        }
    }

    fn event(&self, json: String) {
        self.sink.event(json);
    }

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        self.sink.versions()
    }
}
