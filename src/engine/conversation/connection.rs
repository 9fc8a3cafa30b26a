//! One connection that is up: what its handshake found out, and long work on it, a step at a time.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use crate::engine::base::error::Trouble;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::status::Identity;
use crate::engine::exchange::writes;
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::{classify, integer, out_of_step};
use crate::engine::net::wire::Wire;
use crate::engine::task::executor::Spawner;

/// The shortest deadline of a step: it is more work than a call, and no call waits for a single step.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// A connection that is up. Dropping it closes the socket at once, whatever is in flight.
pub struct Connection {
    /// To which it leads.
    pub server: Arc<Server>,
    pub wire: Wire,
    /// Begins tasks that live with the node which has it.
    pub tasks: Spawner,
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

/// A connection for long work: each step has a deadline.
pub struct Steps {
    pub server: Arc<Server>,
    pub wire: Wire,
    pub denied: Denied,
    pub patience: Duration,
}

impl Steps {
    /// For steps behind the calls: their deadline is the longer one.
    pub fn behind(shared: &Shared, connection: &Connection) -> Self {
        let patience = shared.patience().max(LEAST_PATIENCE);
        Self { server: connection.server.clone(), wire: connection.wire.clone(), denied: connection.denied, patience }
    }

    pub async fn pipeline(&mut self, pipeline: Pipeline) -> Result<Vec<Value>, Trouble> {
        self.wire.ask(pipeline, self.patience).await
    }

    pub async fn command(&mut self, command: Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        match self.pipeline(pipeline).await?.pop() {
            Some(Value::ServerError(error)) => Err(classify(&error)),
            Some(value) => Ok(value),
            None => Err(out_of_step()),
        }
    }

    /// Removes keys; how many there were.
    pub async fn unlink(&mut self, keys: &[impl AsRef<str>]) -> Result<u64, Trouble> {
        if keys.is_empty() {
            return Ok(0);
        }
        let mut pipeline = Pipeline::new();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_ref().as_bytes()).collect();
        writes::remove_all(&mut pipeline, self.denied, &keys);
        let mut removed = 0;
        for reply in self.pipeline(pipeline).await? {
            removed += u64::try_from(integer(reply)?).unwrap_or(0);
        }
        Ok(removed)
    }
}
