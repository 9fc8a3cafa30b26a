//! The reads of a pipeline: those that stand beside each other as one MGET, and questions about a key.

use redis::{Cmd, cmd};

use crate::engine::base::clock::Ttl;
use crate::engine::cache::namespace::Cache;
use crate::engine::exchange::plan::{Computing, HEAD, Head, Question, Read, Run, Step, head};
use crate::engine::exchange::planner::Planner;
use crate::engine::exchange::writes::{holder, with_key};
use crate::engine::once::lease;

/// The most reads in one MGET: enough to make its cost vanish, short enough not to hold up the server's other clients.
const MAX_MGET: usize = 256;

/// The MGET under way: where it began among the steps, its keys so far, and the PTTL and leases that will follow.
pub(super) struct OpenRun {
    at: usize,
    keys: usize,
    command: Cmd,
    ttls: Vec<Cmd>,
    leases: Vec<Cmd>,
}

impl Planner {
    pub(super) fn read(&mut self, cache: &Cache, key: &str, flight: Option<Computing>) {
        if self.run.as_ref().is_some_and(|run| run.keys == MAX_MGET || self.denied.mget.is()) {
            self.close_run();
        }
        let run = self.run.get_or_insert_with(|| OpenRun {
            at: self.steps.len(),
            keys: 0,
            command: cmd(if self.denied.mget.is() { "GET" } else { "MGET" }),
            ttls: Vec::new(),
            leases: Vec::new(),
        });
        run.keys += 1;
        run.command.arg(key);
        let ticket = if cache.near && !self.asks { self.server.near.reserve(key) } else { None };
        // Without its time left, the age of an entry with grace is not known.
        let grace = flight.is_some_and(|f| f.ask.window > 0 || f.ask.beta > 0.0 || f.ask.early);
        let timed = ticket.is_some() || grace || cache.shared().has_grace();
        if timed {
            run.ttls.push(with_key("PTTL", key));
        }
        let asking = flight.filter(|f| f.lock.is_some_and(|(_, many)| !many) && cache.shared().misses.prevail());
        if let Some(Computing { token, .. }) = asking {
            cache.shared().flights.asked(key, token);
            run.leases.push(lease::acquire(false, key, holder(cache, token), &[]));
        }
        self.steps.push(Step::Read(Read { run: Run::default(), flight, timed, asks: asking.is_some(), ticket }));
    }

    /// Ends the MGET under way, so that what follows stands behind it.
    pub(super) fn close_run(&mut self) {
        let Some(open) = self.run.take() else { return };
        self.pipeline.add_command(open.command);
        if let Some(Step::Read(read)) = self.steps.get_mut(open.at) {
            read.run = Run { keys: open.keys, fills: open.ttls.len(), leases: open.leases.len() };
        }
        for command in open.ttls.into_iter().chain(open.leases) {
            self.pipeline.add_command(command);
        }
    }

    /// A question about a key, behind what tells whether there is a value for a caller: a marker is none, nor is an
    /// entry that is stale, or that a tag made a miss.
    pub(super) fn question(&mut self, key: &str, question: Question, renews: Option<Ttl>) {
        self.close_run();
        self.heads.push(Head { at: self.pipeline.len(), key: key.to_owned(), renews });
        self.command(head(key, HEAD), Step::Held(question));
        self.pipeline.add_command(with_key("PTTL", key));
    }
}
