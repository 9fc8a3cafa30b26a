//! A fleet of one server: every key is its own, and its address is the one that was given.
//!
//! All that is asked of a fleet is here, so that another kind (a cluster's slots, a primary that sentinels name) is
//! another answer to the same questions: which server a key belongs to ([`Single::of`]), which ones there are
//! ([`Single::servers`]), and where one is to be found now ([`Single::target`]), asked anew before each dial.

use std::sync::Arc;

use crate::engine::fleet::server::{Gate, Server};
use crate::engine::net::target::Target;
use crate::engine::tier::budget::Budget;

/// One server, or only the state of one where there is no Redis.
pub struct Single {
    server: Arc<Server>,
    target: Option<Arc<Target>>,
}

impl Single {
    /// `target`: none in memory mode, whose calls never leave the process. `id`: the engine's.
    pub fn new(target: Option<Target>, budget: &Arc<Budget>, id: u32) -> Self {
        let gate = if target.is_some() { Gate::Connection } else { Gate::Local };
        Self { server: Arc::new(Server::new(gate, budget, id)), target: target.map(Arc::new) }
    }

    /// The server that a stored key belongs to.
    pub fn of(&self, _key: &str) -> &Arc<Server> {
        &self.server
    }

    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        std::iter::once(&self.server)
    }

    /// Where a server is to be found now.
    pub fn target(&self, _server: &Server) -> Option<&Arc<Target>> {
        self.target.as_ref()
    }

    /// Whether there is no Redis at all.
    pub fn is_empty(&self) -> bool {
        self.target.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Budget, Gate, Single};
    use crate::engine::net::target::{Target, Trust};

    #[test]
    fn every_key_is_the_one_servers_and_memory_mode_has_nowhere_to_dial() {
        let budget = Arc::new(Budget::new(1 << 20));
        let target = Target::parse("redis://h", Trust::default()).expect("a URL");
        for (target, gate) in [(Some(target), Gate::Connection), (None, Gate::Local)] {
            let fleet = Single::new(target.clone(), &budget, 1);
            let server = fleet.of("k");
            assert!(fleet.servers().all(|one| Arc::ptr_eq(one, server)) && Arc::ptr_eq(fleet.of("other"), server));
            assert_eq!(*server.gate.read(), gate);
            assert_eq!(fleet.target(server).map(|to| (**to).clone()), target);
            assert_eq!(fleet.is_empty(), target.is_none());
        }
    }
}
