//! What the engine's thread does: drives a node, or, for an event loop that drives one itself, dials, takes the node
//! over, waits, looks again and again.
//!
//! A dial of Node's would keep the process alive until it is answered, and would wait for an event loop that is
//! blocked. So the thread dials, as it does for itself, and hands the descriptor over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::mpsc::unbounded;
use tokio::task::AbortHandle;

use super::crew;
use super::driver::Driver;
#[cfg(unix)]
use super::socket;
use super::{no_thread, runtime};
use crate::engine::base::error::Trouble;
use crate::engine::cache::job::Link;
use crate::engine::cache::shared::Shared;
use crate::engine::fleet::server::Server;
use crate::engine::net::target::Target;
use crate::engine::node::machine::Node;
#[cfg(unix)]
use crate::engine::node::state::DIAL_TIMEOUT;
use crate::engine::node::state::unanswered;
use crate::engine::node::steps::Driven;
use crate::engine::task::executor::Tasks;

/// A socket that somebody else reads and writes.
#[cfg(unix)]
pub type Descriptor = std::os::fd::OwnedFd;
/// There is none here: event loops leave the I/O to the thread.
#[cfg(not(unix))]
pub type Descriptor = std::convert::Infallible;

/// A connected socket, or why there is none.
pub type Dialled = Result<Descriptor, Trouble>;

/// A dial that is under way; it is given up when this is dropped.
pub struct Dialling(AbortHandle);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Dials; `done` is told, on the engine's thread.
pub fn dial(
    target: Arc<Target>,
    deadline: Instant,
    done: impl FnOnce(Dialled) + Send + 'static,
) -> Result<Dialling, Trouble> {
    let dial = async move {
        done(tokio::time::timeout_at(deadline.into(), open(&target)).await.unwrap_or_else(|_| Err(unanswered())));
    };
    let runtime = runtime().map_err(|why| no_thread(&why))?;
    Ok(Dialling(runtime.spawn(dial).abort_handle()))
}

#[cfg(unix)]
async fn open(target: &Target) -> Dialled {
    socket::plain(&target.address, DIAL_TIMEOUT / 2).await
}

#[cfg(not(unix))]
async fn open(_: &Target) -> Dialled {
    Err(unanswered())
}

/// Goes on with a node that was driven elsewhere. Where there is no thread for it, it ends, and its callers run on the
/// in-process tier.
pub fn go_on(Driven { node, jobs }: Driven) {
    if let Ok(runtime) = runtime() {
        // Its timer is made within the runtime.
        runtime.spawn(async move { crew::go_on(Driver::new(node, jobs)).await });
    }
}

/// Acts after a while, and again whenever it said, until it says nothing.
pub fn again(first: Duration, mut act: impl FnMut() -> Option<Duration> + Send + 'static) {
    if let Ok(runtime) = runtime() {
        runtime.spawn(async move {
            let mut next = Some(first);
            while let Some(after) = next {
                tokio::time::sleep(after).await;
                next = act();
            }
        });
    }
}

/// Acts after a while.
pub fn later(after: Duration, act: impl FnOnce() + Send + 'static) {
    if let Ok(runtime) = runtime() {
        runtime.spawn(async move {
            tokio::time::sleep(after).await;
            act();
        });
    }
}

/// Begins to drive the node of `server` on the engine's thread; where its callers hand over their work.
pub fn start(shared: &Arc<Shared>, server: &Arc<Server>, tasks: Tasks) -> Result<Link, (Tasks, String)> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return Err((tasks, why)),
    };
    let (sender, jobs) = unbounded();
    let link = Link::new(server.clone(), sender);
    let (shared, server) = (shared.clone(), server.clone());
    tasks.spawner().drive();
    runtime.spawn(async move {
        let node = Node::new(shared, server, tasks, Instant::now());
        crew::go_on(Driver::new(node, jobs)).await;
    });
    Ok(link)
}
