//! What an engine holds, against its bounds (G9): at any moment, and in the end, when nothing may be left of any call.

use std::sync::Arc;

use holdfast::engine::cache::shared::Shared;
use holdfast::engine::fleet::server::Server;
use holdfast::engine::tier::budget::Measure;

use crate::history::SPACES;
use crate::history::{Excess, Nanos};

/// The first excess of each thing that a process held too much of.
#[derive(Default)]
pub struct Bounds(Vec<Excess>);

impl Bounds {
    /// Looks at an engine. `most`: calls that its environments may have under way. `raw`: one of them has no namespace.
    pub fn look(&mut self, process: usize, shared: &Shared, waiting: usize, (most, raw): (usize, bool), at: Nanos) {
        // Each call has one flight, one waiter and one entry of each list at most.
        let max_bytes = shared.budget.max();
        let near: usize = shared.fleet.servers().map(|server| server.near.store().sweeping()).sum();
        self.check(process, at, ("bytes of entries", size(shared.bytes()), size(max_bytes)));
        self.check(process, at, ("bytes of hot values", size(shared.budget.hot()), size(max_bytes / 2)));
        self.check(process, at, ("calls under way", shared.in_flight() + shared.long(), most));
        self.check(process, at, ("calls before the first connection", waiting, most));
        self.check(process, at, ("keys with flights", shared.flights.len(), most));
        self.check(process, at, ("keys waited for", shared.waiting.len(), most));
        self.check(process, at, ("sweeps in process", shared.memory.sweeping() + near, 2 * most));
        for spared in shared.sparing.measures() {
            self.check(process, at, spared);
        }
        for (what, held, bound) in shared.fleet.servers().flat_map(|server| server.journal.measures()) {
            // In an outage the sweeps of raw keys that were under way join what waits. What is too much for a namespace
            // is one pattern, beside those of the others.
            let more = if raw { most } else { 0 } + SPACES.len();
            let bound = if what == "patterns of the journal" { bound + more } else { bound };
            self.check(process, at, (what, held, bound));
        }
    }

    /// Looks at an engine at rest: every call is answered, and all that outages left is undone. `undone`: the server
    /// refused nothing of that. `ended`: a thread has, for whom somebody may wait until the next poll. `gave_up`: so
    /// has a caller, whose flight may wait until then for another process's lease.
    pub fn look_at_rest(
        &mut self,
        process: usize,
        shared: &Shared,
        (waiting, servers): (usize, Vec<&Arc<Server>>),
        [undone, ended, gave_up]: [bool; 3],
        at: Nanos,
    ) {
        self.check(process, at, ("calls at rest", shared.in_flight() + shared.long() + waiting, 0));
        if !gave_up {
            self.check(process, at, ("keys with flights at rest", shared.flights.len(), 0));
        }
        if !ended && !gave_up {
            self.check(process, at, ("keys waited for at rest", shared.waiting.len(), 0));
        }
        if undone {
            self.check(process, at, ("sweeps that spare keys at rest", shared.sparing.len(), 0));
        }
        for server in servers.into_iter().filter(|_| undone) {
            self.check(process, at, ("the journal at rest", server.journal.len(), 0));
            self.check(process, at, ("covers at rest", usize::from(server.journal.is_covering()), 0));
        }
    }

    fn check(&mut self, process: usize, at: Nanos, (what, held, bound): Measure) {
        if held > bound && !self.0.iter().any(|known| known.process == process && known.what == what) {
            self.0.push(Excess { process, at, what, held, bound });
        }
    }

    pub fn told(self) -> Vec<Excess> {
        self.0
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::Bounds;

    #[test]
    fn what_is_beyond_its_bound_is_told_once() {
        let mut bounds = Bounds::default();
        bounds.check(0, 5, ("keys", 3, 3));
        bounds.check(0, 6, ("keys", 4, 3));
        bounds.check(0, 7, ("keys", 9, 3));
        bounds.check(1, 8, ("keys", 4, 3));
        let told = bounds.told();
        assert_eq!(told.iter().map(|excess| (excess.process, excess.at)).collect::<Vec<_>>(), [(0, 6), (1, 8)]);
    }
}
