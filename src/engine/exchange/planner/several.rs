//! Steps of several commands: removals in front of a call, of what a sweep is about to remove or what is not to be
//! trusted; counters; and the ends of computations that store nothing.

use crate::engine::base::clock::Ttl;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::plan::Step;
use crate::engine::exchange::planner::Planner;
use crate::engine::exchange::writes::{self, holder, remove, with_key};
use crate::engine::once::lease::{self, Holder};
use crate::engine::tier::cover::{Covered, Removal};

impl Planner {
    /// Removes what lies at a key that a sweep is about to remove, in front of the step that comes next. False where
    /// the key stays covered.
    pub(super) fn uncover(&mut self, key: &str) -> bool {
        let (removal, excepted) = match self.server.journal.uncover(key) {
            Covered::No => return true,
            Covered::Excepted(removal) => (removal, true),
            Covered::Still(removal) => (removal, false),
        };
        self.remove_first(key, Some(removal));
        excepted
    }

    /// As `uncover`, and what came with a slot, which is neither to be added to nor given to anybody.
    pub(super) fn uncover_all(&mut self, key: &str) {
        let removals = self.uncovered.len();
        self.uncover(key);
        if self.server.journal.supersede(key) && self.uncovered.len() == removals {
            self.remove_first(key, None);
        }
    }

    fn remove_first(&mut self, key: &str, removal: Option<Removal>) {
        self.close_run();
        self.pipeline.add_command(with_key(remove(self.denied), key));
        self.uncovered.push((self.steps.len(), removal));
    }

    /// A computation that stores nothing: its lease goes.
    pub(super) fn over(&mut self, cache: &Cache, key: &str, token: u32, leased: bool, reply: Reply) {
        if leased {
            self.command(lease::release(key, holder(cache, token)), Step::Passed(reply));
        } else {
            self.steps.push(Step::Answered(reply));
        }
    }

    pub(super) fn increment(&mut self, key: &str, amount: i64, ttl: Option<Ttl>, computing: &[Holder]) {
        self.close_run();
        // A number cannot be added to the marker of a computation, which this write ends in any case.
        computing.iter().for_each(|holder| _ = self.pipeline.add_command(lease::release(key, *holder)));
        // A MULTI without an end, as of a command that is redirected, would swallow all that follows.
        let whole = !self.denied.exec.is() && !self.asks;
        let (replies, transaction) = writes::increment(&mut self.pipeline, key, amount, ttl, whole);
        let replies = computing.len() + replies;
        self.steps.push(if transaction { Step::Transaction(replies) } else { Step::Last(replies) });
    }
}
