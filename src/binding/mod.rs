//! The Node addon: converts calls and replies, one file per concern. It decides nothing.

mod bridge;
mod cache;
mod decode;
mod ends;
mod external;
mod line;
mod open;
mod sink;
mod text;

/// For what Rust allocates; V8, Node and other addons keep their own. Entries are made on the event loop's thread and
/// freed on the engine's. In glibc that fills the event loop's arena with small free blocks, and one large request
/// joins a million of them under the arena's lock: `clear()` then stopped the event loop for 150 ms. musl has one lock
/// for all threads. mimalloc takes back what another thread frees without a lock, a page at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
