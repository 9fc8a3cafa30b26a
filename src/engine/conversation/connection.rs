//! One connection that is up, and what its handshake found out.

use crate::engine::cache::status::Server;
use crate::engine::net::denied::Denied;
use crate::engine::net::wire::Wire;

/// A connection that is up. Dropping it closes the socket at once, whatever is in flight.
pub struct Connection {
    pub wire: Wire,
    /// By which the server knows it.
    pub id: Option<i64>,
    pub server: Server,
    pub denied: Denied,
    /// Reads are tracked: the near cache may be armed.
    pub tracking: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.wire.close();
    }
}
