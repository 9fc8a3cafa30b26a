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
