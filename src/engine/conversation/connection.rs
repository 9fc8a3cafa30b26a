//! One connection that is up, and what its handshake found out.

use std::sync::Arc;

use crate::engine::cache::status::Identity;
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::net::wire::Wire;

/// A connection that is up. Dropping it closes the socket at once, whatever is in flight.
pub struct Connection {
    /// To which it leads.
    pub server: Arc<Server>,
    pub wire: Wire,
    /// By which the server knows it.
    pub id: Option<i64>,
    pub identity: Identity,
    pub denied: Denied,
    /// Reads are tracked: the near cache may be armed.
    pub tracking: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.wire.close();
    }
}
