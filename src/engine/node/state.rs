//! The states of a node, and what each of them waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::finding::{Said, ask_sentinel};
use crate::engine::fleet::sentinels::Search;
use crate::engine::fleet::server::Server;
use crate::engine::net::password::Password;
use crate::engine::net::target::Target;
use crate::engine::net::wire::{HELD_UP, Wire};
use crate::engine::node::gate::{self, Old};
use crate::engine::node::handshake::{Peer, Protocol, Refused, handshake};
use crate::engine::serve::pump::Pump;
use crate::engine::task::executor::{Kept, Spawner};

pub use crate::engine::fleet::members::DIAL_TIMEOUT;
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
    /// Nobody has called yet, or for a while: the next call dials.
    Resting,
    Pausing {
        until: Instant,
    },
    /// A sentinel is asked where the primary is.
    Asking {
        search: Search,
        sentinel: Arc<Target>,
        /// After that another one is asked.
        until: Instant,
        /// None while it is dialled.
        talk: Option<Talk>,
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

/// The conversation with a sentinel.
pub struct Talk {
    wire: Wire,
    pub said: oneshot::Receiver<Result<Said, Trouble>>,
    _task: Kept,
}

impl Talk {
    /// Asks on a connection that came up for the primary of this name.
    pub fn begin(shared: &Shared, tasks: &Spawner, name: &str, sentinel: &Arc<Target>) -> Self {
        let wire =
            Wire::new(shared.random.bits(), shared.habits.marks, tasks.timers().clone(), shared.listening.flag());
        let (done, said) = oneshot::channel();
        let (name, sentinel, line) = (name.to_owned(), sentinel.clone(), wire.clone());
        let task = tasks.spawn_for(async move {
            let _ = done.send(ask_sentinel(&line, &sentinel, &name).await);
        });
        Self { wire, said, _task: task }
    }
}

/// Whether somebody said that the server is elsewhere now.
pub struct Hint(pub Arc<AtomicBool>, #[expect(dead_code, reason = "its task ends with it")] Kept);

impl Hint {
    pub fn of(server: &Arc<Server>, spawner: &Spawner) -> Self {
        let said = Arc::new(AtomicBool::new(false));
        let (server, tell) = (server.clone(), said.clone());
        let task = spawner.spawn_for(async move {
            loop {
                server.elsewhere.raised().await;
                tell.store(true, Ordering::SeqCst);
            }
        });
        Self(said, task)
    }
}

/// The server did not answer a dial or its handshake in time.
pub fn unanswered() -> Trouble {
    Trouble::new(Kind::Timeout, "the server did not answer while connecting")
}

impl State {
    /// Begins the handshake on a connection that came up.
    pub fn greet(
        shared: &Arc<Shared>,
        tasks: &Spawner,
        server: &Arc<Server>,
        target: &Arc<Target>,
        protocol: Protocol,
        peer: Peer,
        deadline: Instant,
    ) -> Self {
        // A function that is asked for the password has as much time as a server, and does not take it from the server.
        let is_asked = target.password.as_ref().is_some_and(Password::is_asked);
        let deadline = if is_asked { deadline + DIAL_TIMEOUT } else { deadline };
        let wire =
            Wire::new(shared.random.bits(), shared.habits.marks, tasks.timers().clone(), shared.listening.flag());
        let (done, greeted) = oneshot::channel();
        let (on, server, to) = (shared.clone(), server.clone(), target.clone());
        let line = (wire.clone(), tasks.clone());
        let task = tasks.spawn_for(async move {
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
        let task = connection.tasks.clone().spawn_for(async move {
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
            Self::Asking { talk, .. } => talk.as_ref().map(|talk| &talk.wire),
            Self::Resting | Self::Pausing { .. } | Self::Dialing { .. } | Self::Ended => None,
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
            Self::Asking { until, .. } if *until <= now => return Err(unanswered()),
            Self::Serving(pump) => pump.tick(now)?,
            _ => {}
        }
        Ok(false)
    }

    /// The moment at which it has something to do, whatever comes.
    pub fn next_moment(&self) -> Option<Instant> {
        match self {
            Self::Pausing { until } | Self::Asking { until, .. } => Some(*until),
            Self::Dialing { deadline, .. } | Self::Greeting { deadline, .. } => Some(*deadline),
            Self::Serving(pump) => pump.next_moment(),
            // Each step of a recovery has a deadline of its own.
            Self::Recovering { .. } | Self::Resting | Self::Ended => None,
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
