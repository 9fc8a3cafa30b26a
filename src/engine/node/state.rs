//! The states of a node, and what each of them waits for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::Connection;
use crate::engine::fleet::server::Server;
use crate::engine::net::target::Target;
use crate::engine::net::wire::{HELD_UP, Wire};
use crate::engine::node::gate::{self, Old};
use crate::engine::node::handshake::{Peer, Protocol, Refused, handshake};
use crate::engine::node::pump::Pump;
use crate::engine::task::executor::Kept;

/// How long one dial may take in all. Callers do not wait for it: a call has its own, shorter deadline.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// What is given to a dial or a handshake whose deadline passed while this process was held up.
const AFTER_HELD_UP: Duration = Duration::from_millis(500);

/// What the machine wants done. The answer comes as `connected` or `lost`.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Connect to the target, with TLS up, until then.
    Dial(Arc<Target>, Instant),
    /// Close the socket, whatever is in flight, or give the dial up.
    Close,
}

pub enum State {
    Pausing {
        until: Instant,
    },
    Dialing {
        target: Arc<Target>,
        protocol: Protocol,
        deadline: Instant,
    },
    Greeting {
        target: Arc<Target>,
        protocol: Protocol,
        deadline: Instant,
        wire: Wire,
        greeted: oneshot::Receiver<Result<Connection, Refused>>,
        _task: Kept,
    },
    Recovering {
        wire: Wire,
        recovered: oneshot::Receiver<(Connection, Result<u64, Trouble>)>,
        _task: Kept,
    },
    Serving(Box<Pump>),
    /// No cache is left.
    Ended,
}

/// The server did not answer a dial or its handshake in time.
pub fn unanswered() -> Trouble {
    Trouble::new(Kind::Timeout, "the server did not answer while connecting")
}

impl State {
    /// Begins the handshake on a connection that came up.
    pub fn greet(
        shared: &Arc<Shared>,
        server: &Arc<Server>,
        target: &Arc<Target>,
        protocol: Protocol,
        peer: Peer,
        deadline: Instant,
    ) -> Self {
        let wire = Wire::new(shared.random.bits(), shared.tasks.timers().clone());
        let (done, greeted) = oneshot::channel();
        let (on, server, to, line) = (shared.clone(), server.clone(), target.clone(), wire.clone());
        let task = shared.tasks.spawn_for(async move {
            let result = handshake(&on, &server, &to, protocol, &peer, line).await;
            // The node may have given it up.
            let _ = done.send(result);
        });
        Self::Greeting { target: target.clone(), protocol, deadline, wire, greeted, _task: task }
    }

    /// Begins to undo what an outage left behind.
    pub fn recover(shared: &Arc<Shared>, connection: Connection, old: Option<Old>) -> Self {
        let (done, recovered) = oneshot::channel();
        let (on, wire) = (shared.clone(), connection.wire.clone());
        let task = shared.tasks.spawn_for(async move {
            let result = gate::recover(&on, &connection, old.as_ref()).await;
            let _ = done.send((connection, result));
        });
        Self::Recovering { wire, recovered, _task: task }
    }

    /// The connection, where there is one.
    pub fn wire(&self) -> Option<&Wire> {
        match self {
            Self::Greeting { wire, .. } | Self::Recovering { wire, .. } => Some(wire),
            Self::Serving(pump) => Some(&pump.connection.wire),
            Self::Pausing { .. } | Self::Dialing { .. } | Self::Ended => None,
        }
    }

    /// A moment has come: whether it is that of the next dial.
    pub fn tick(&mut self, now: Instant) -> Result<bool, Trouble> {
        match self {
            Self::Pausing { until } => return Ok(*until <= now),
            Self::Dialing { deadline, .. } | Self::Greeting { deadline, .. } if *deadline <= now => {
                if now.saturating_duration_since(*deadline) <= HELD_UP {
                    return Err(unanswered());
                }
                *deadline = now + AFTER_HELD_UP;
            }
            Self::Serving(pump) => pump.tick(now)?,
            _ => {}
        }
        Ok(false)
    }

    /// The moment at which it has something to do, whatever comes.
    pub fn next_moment(&self) -> Option<Instant> {
        match self {
            Self::Pausing { until } => Some(*until),
            Self::Dialing { deadline, .. } | Self::Greeting { deadline, .. } => Some(*deadline),
            Self::Serving(pump) => Some(pump.next_moment()),
            // Each step of a recovery has a deadline of its own.
            Self::Recovering { .. } | Self::Ended => None,
        }
    }

    /// Whether no call is under way on it.
    pub fn is_idle(&self) -> bool {
        match self {
            Self::Serving(pump) => pump.is_idle(),
            _ => true,
        }
    }

    /// Nor long work, which may be between two of its steps.
    pub fn is_quiet(&self) -> bool {
        match self {
            Self::Serving(pump) => pump.is_quiet(),
            _ => true,
        }
    }
}
