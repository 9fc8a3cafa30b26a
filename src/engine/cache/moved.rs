//! What it means for what is held, and for what is to be undone, that a cluster's slots change their owners: nobody
//! told of changes to their keys meanwhile, and what is to be removed of them goes with them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::{ServerError, Value};

use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::cache::shared::Shared;
use crate::engine::call::reply::Bounce;
use crate::engine::fleet::cluster::Applied;
use crate::engine::fleet::endpoint::Redirect;
use crate::engine::fleet::server::Server;
use crate::engine::fleet::slot::{Slots, slot_of};
use crate::engine::net::reply::is_unserved;
use crate::engine::tier::budget::Noted;

impl Shared {
    /// What it means that a server redirects a command; none where it does not, or there is no cluster.
    pub fn bounced(&self, error: &ServerError, by: &Server) -> Option<Bounce> {
        let cluster = self.fleet.cluster()?;
        if error.code() == "TRYAGAIN" {
            return Some(Bounce { slot: 0, asks: false, to: by.place, unserved: false });
        }
        if is_unserved(error) {
            // Where the whole cluster is down it is an outage of each server.
            return Some(Bounce { slot: 0, asks: false, to: 0, unserved: true });
        }
        let (host, port) = by.at.as_ref().map(|at| (at.host().to_owned(), at.port()))?;
        let answered_by = cluster.access.at((host, port)).address;
        let redirect = Redirect::of(error, &answered_by, &cluster.map).ok()??;
        let (bounce, applied) = self.fleet.bounced(&redirect, &self.memory)?;
        self.moved(&applied, self.clock.now_ms());
        Some(bounce)
    }

    /// Who is to remove what lies at a key, where the server that was told to says that it is not its own, or nobody's
    /// for now.
    pub fn owed_elsewhere(&self, key: &str, reply: &Value, by: &Arc<Server>) -> Option<Arc<Server>> {
        let Value::ServerError(error) = reply else { return None };
        let bounce = self.bounced(error, by)?;
        let asked = self.fleet.cluster().filter(|_| bounce.asks).and_then(|cluster| cluster.server(bounce.to));
        Some(asked.unwrap_or_else(|| self.server(key)).clone())
    }

    /// Where the calls of a key go by now, if that is not this server: they go there with the others of the slot. One
    /// that waited here, and is sent, would overtake these should the slot come back meanwhile; and one that is
    /// answered in process, those of them that still wait.
    pub fn strayed(&self, key: &str, server: &Server) -> Option<Bounce> {
        let slot = slot_of(key.as_bytes());
        let owner = self.fleet.cluster().filter(|_| server.place > 0 && !server.is_replica())?.owner(slot);
        (owner != server.place).then_some(Bounce { slot, asks: false, to: owner, unserved: false })
    }

    /// A server has stored what was planned for it at that moment: sweeps that had their place there by then leave it
    /// alone, wherever its slot goes.
    pub fn stored(&self, server: &Server, key: &str, planned: u64) {
        // Beyond the bound of exceptions it is still covered.
        if !self.sparing.is_empty() && !server.journal.covers(key) {
            self.sparing.stored(server.place, key, planned);
        }
    }

    /// What lies at a key is to be removed there, and no longer here.
    pub fn owe(&self, key: &str, from: &Arc<Server>, owner: &Arc<Server>) -> Noted {
        if !Arc::ptr_eq(from, owner) {
            from.journal.replaced(key);
        }
        owner.journal.owe(key)
    }

    /// Slots have other owners. Nobody told of changes to their keys meanwhile, and what is to be undone goes with
    /// them.
    pub fn moved(&self, applied: &Applied, now: u64) {
        if !applied.changed {
            return;
        }
        if !mutant::lacks("again") {
            applied.again.iter().for_each(|server| server.near.flush(now));
        }
        let lost = |server: &&Arc<Server>| applied.lost.iter().any(|one| Arc::ptr_eq(one, server));
        if !mutant::lacks("moved") {
            applied.lost.iter().for_each(|server| server.near.end_hot());
        }
        if !applied.lost.is_empty() {
            self.listening.lost();
        }
        // Nobody misses a server that serves nothing.
        if let Some(cluster) = self.fleet.cluster() {
            let is_used = |place| cluster.server(place).is_some_and(|server| cluster.is_used(server));
            self.outages.keep(is_used, &self.clock);
        }
        let mut patterns = Vec::new();
        for server in self.fleet.servers().filter(|_| !mutant::lacks("handed")) {
            // What nobody served was the URL's server's to undo. And one that never had a slot may have been asked to
            // undo something of it, while it was on its way to that.
            let has_lost = if server.place == 0 { applied.found } else { lost(&server) };
            if !has_lost && (server.place == 0 || server.journal.is_empty()) {
                continue;
            }
            let is_idle = self.fleet.cluster().is_some_and(|cluster| !cluster.is_used(server));
            let is_others = |key: &str| !Arc::ptr_eq(self.server(key), server);
            let (keys, of_one) = server.journal.part(is_others, [is_idle, server.place == 0]);
            patterns.extend(of_one.into_iter().filter(|_| has_lost));
            for key in keys {
                let _ = self.server(&key).journal.owe(&key);
            }
        }
        // Of these slots alone: what the winners have of others they sweep already, or there is something newer.
        let in_slots = |key: &[u8], slots: &Slots| slots.contains(slot_of(key));
        for (pattern, except) in patterns {
            let except: HashSet<_> =
                except.into_iter().filter(|key| in_slots(key.as_bytes(), &applied.slots)).collect();
            for server in &applied.won {
                let slots = applied.slots.clone();
                server.journal.take_over((pattern.among(move |key| in_slots(key, &slots)), except.clone()));
            }
        }
        // Servers that are there and send a call in circles leave what is answered in process alone.
        // What nobody served was answered in process, in an outage too.
        let was_away = applied.found || applied.lost.iter().any(|server| !server.standing.lock().up);
        if was_away {
            applied.won.iter().for_each(|server| self.inherits(server, now));
        }
        // What began while nobody could be asked for a lease is stored nowhere, as where its own server is back.
        if was_away && !mutant::lacks("unleased") {
            self.flights.fence_unleased(|key| in_slots(key.as_bytes(), &applied.slots));
        }
        self.waiting.wake_all();
        self.flights.outdate_all();
    }

    /// What was written in process while another server of its slots was away, or nobody served them, goes: at once, or
    /// when it is in use.
    fn inherits(&self, server: &Server, now: u64) {
        server.heir.store(true, Ordering::SeqCst);
        if server.standing.lock().up && !mutant::lacks("heir") {
            self.drop_fallback(server, now);
        }
    }

    /// What was written in process under the keys of a server goes; how many entries, as far as that is known at once.
    pub fn drop_fallback(&self, server: &Server, now: u64) -> usize {
        let Some(cluster) = self.fleet.cluster() else { return self.memory.clear(now) };
        if self.memory.usage().entries == 0 {
            return 0;
        }
        // That of other servers, which are away still, stays.
        let slots = cluster.slots_of(server);
        let its = Pattern::of(move |key| slots.get(usize::from(slot_of(key))).copied().unwrap_or(false));
        let (memory, timers) = (self.memory.clone(), self.tasks.timers().clone());
        let mark = memory.raise(&its, false);
        if memory.is_small() {
            return usize::try_from(memory.sweep_at_once(&mark, now)).unwrap_or(usize::MAX);
        }
        self.tasks.clone().spawn(async move { _ = memory.swept(&mark, &timers).await });
        0
    }
}
