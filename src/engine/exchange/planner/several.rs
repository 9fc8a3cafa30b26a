//! Steps of several commands: removals in front of a call, of what a sweep is about to remove or what is not to be
//! trusted; counters; and the ends of computations.

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Span;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, More};
use crate::engine::call::extras::Extras;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::plan::Step;
use crate::engine::exchange::planner::Planner;
use crate::engine::exchange::writes::{self, Computed, holder, remove, store, with_key};
use crate::engine::once::lease::{self, Holder};
use crate::engine::once::waiters::{Lease, Outcome};
use crate::engine::tier::cover::{Covered, Removal};
use crate::engine::value::tag_list::Tag;
use crate::engine::value::tags;

/// The operation of this name.
pub(super) struct End {
    pub(super) value: Span,
    pub(super) ttl: Ttl,
    pub(super) token: u32,
    pub(super) more: More,
}

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

    /// A function returned this.
    pub(super) fn end(&mut self, cache: &Cache, batch: &Batch, key: &str, end: &End) {
        let End { value, ttl, token, more } = *end;
        let flights = &cache.shared().flights;
        let extras = batch.more(more);
        let landing = flights.landing(key, token);
        let named = match &landing {
            Some(landing) => self.named(cache, extras, (key, token), &landing.tags),
            None => (extras.named.is_empty() || !flights.outlived(key, token)).then(Vec::new),
        };
        match (landing, named) {
            (Some(mut landing), Some(named)) => {
                if !named.is_empty() {
                    // From here on their ends fence it, as they do the others'.
                    flights.tag(key, token, named.clone());
                    landing.tags.extend(named);
                }
                if landing.lease == Lease::None {
                    self.uncover(key);
                }
                self.server.journal.supersede(key);
                let result = Computed { token, value: batch.value(value), ttl, extras };
                self.command(store(cache, key, &result, &landing), Step::Write);
            }
            (_, named) => {
                let leased = flights.leased(key, token);
                let (outcome, reply) = match named {
                    Some(_) => (Outcome::Value(batch.value(value).keep()), Reply::Done),
                    // Older than the end of a tag that it named: the others who wait for it ask again.
                    None => (Outcome::Failed, Reply::Again),
                };
                self.answers.append(flights.end(key, token, outcome));
                self.over(cache, key, token, leased, reply);
            }
        }
    }

    /// The tags that the function of a result named, beside those that were `known` when it began; none where one was
    /// ended since.
    fn named(&self, cache: &Cache, extras: &Extras, (key, token): (&str, u32), known: &[Tag]) -> Option<Vec<Tag>> {
        if extras.named.is_empty() {
            return Some(Vec::new());
        }
        let vouched = !self.denied.scripts.is() && !cache.shared().flights.outlived(key, token);
        let record = |key: &str| self.tokens.get(key).cloned().or_else(|| cache.near_token(key, self.now));
        tags::named(extras, known, &cache.prefix, vouched, record)
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
