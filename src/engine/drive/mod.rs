//! Who does the I/O of a node: sockets, TLS, names, timers, on a thread of ours. Nothing above knows of it.
//!
//! Uses what stands above it in the list of layers.

mod crew;
mod driver;
mod errands;
mod lookout;
mod socket;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle};

use crate::engine::base::error::{Kind, Trouble};

pub use driver::start_alone;
pub use errands::{Dialled, Dialling, again, dial, go_on, later, start};
pub use lookout::{Lookout, look_out};

/// The process's one thread for connections: a current-thread runtime, which was measured a third faster here than a
/// work-stealing one, as a batch needs no second thread. It lives as long as the process and never keeps it alive.
pub fn runtime() -> Result<Handle, String> {
    // Tried again where it failed: there may be file descriptors by then.
    static RUNTIME: OnceCell<Handle> = OnceCell::new();
    let start = || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // getaddrinfo runs there; a resolver that hangs must not pile up threads.
            .max_blocking_threads(4)
            .build()
            .map_err(|e| e.kind().to_string())?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("holdfast".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(|e| e.kind().to_string())?;
        Ok(handle)
    };
    RUNTIME.get_or_try_init(start).cloned()
}

/// Why nothing is connected: the thread cannot be started.
pub fn no_thread(why: &str) -> Trouble {
    let message = format!("the engine's thread could not be started ({why}); is the process out of file descriptors?");
    Trouble::new(Kind::Connect, message)
}
