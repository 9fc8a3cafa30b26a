//! The event loop's own line to a server, as JavaScript has it: bytes and moments go in, and each call is a step of the
//! engine's node.

#[cfg(unix)]
use std::os::{fd::IntoRawFd, unix::net::UnixStream};
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Function, Int32Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Error, Result, Status};
use napi_derive::napi;

use super::bridge::Bridge;
use super::cache::CacheHandle;
use super::ends::{Ends, FIELDS};
use super::text::Frames;
use crate::engine::net::wire;
use crate::engine::node::steps::Event;

/// Steps of an engine's node, made by its event loop.
#[napi]
pub struct Line {
    ends: Arc<Ends>,
    /// Keeps the memory of `said` alive; the last field, so that it goes last.
    _memory: Int32Array,
}

#[napi]
impl Line {
    /// The line of a cache's engine; `poke` is called when a step is wanted from elsewhere. What a step says is written
    /// into `said`, which lies on a SharedArrayBuffer.
    #[napi(constructor)]
    pub fn new(bridge: &Bridge, cache: &mut CacheHandle, said: Int32Array, poke: Function<'_, (), ()>) -> Result<Self> {
        let refuse = || Error::new(Status::InvalidArg, "the cache's engine has no line".to_owned());
        let steps = cache.steps.take().ok_or_else(refuse)?;
        let poke = poke.build_threadsafe_function::<()>().weak::<true>().callee_handled::<false>().build()?;
        let poke = Box::new(move || _ = poke.call((), ThreadsafeFunctionCallMode::NonBlocking));
        let ends = Arc::new(Ends::new(steps, bridge.sink(), &said, poke)?);
        bridge.keep(&ends);
        cache.line = Some(ends.clone());
        Ok(Self { ends, _memory: said })
    }

    /// How many fields `said` has.
    #[napi]
    pub fn fields() -> u32 {
        FIELDS as u32
    }

    /// A new socket whose other end is closed already, by which JavaScript sees whether its runtime takes over sockets
    /// by their descriptors. The caller closes it.
    #[napi]
    pub fn specimen() -> Option<i32> {
        #[cfg(unix)]
        let socket = UnixStream::pair().ok().map(|(socket, _)| socket.into_raw_fd());
        #[cfg(not(unix))]
        let socket = None;
        socket
    }

    /// A further cache of the same engine uses the line.
    #[napi]
    pub fn share(&self, cache: &mut CacheHandle) {
        cache.steps = None;
        cache.line = Some(self.ends.clone());
    }

    /// Something is wanted from elsewhere, or there was more to do.
    #[napi(catch_unwind)]
    pub fn step(&self) {
        self.ends.step(Event::Turn);
    }

    /// Looks at the socket, where that was not done for a while.
    #[napi(catch_unwind)]
    pub fn look(&self) {
        self.ends.glance();
    }

    /// The moment that was named has come.
    #[napi(catch_unwind)]
    pub fn tick(&self) {
        self.ends.step(Event::Moment);
    }

    /// The descriptor that was dialled, for Node, which closes it.
    #[napi(catch_unwind)]
    pub fn adopt(&self) -> Option<i32> {
        self.ends.adopt()
    }

    /// Node reads it.
    #[napi(catch_unwind)]
    pub fn connected(&self) {
        self.ends.step(Event::Connected);
    }

    /// The socket is gone.
    #[napi(catch_unwind)]
    pub fn lost(&self) {
        self.ends.step(Event::Lost(wire::closed()));
    }

    /// The first `used` of these bytes came. Returns frames, as a wake-up does, where replies are complete.
    #[napi(catch_unwind)]
    pub fn read(&self, bytes: &[u8], used: u32) -> Option<Frames> {
        let (room, bytes) = (bytes.len(), &bytes[..bytes.len().min(used as usize)]);
        if bytes.len() < room {
            self.ends.looked();
        }
        self.ends.gather(Event::Bytes(bytes))
    }

    /// What the socket did not take. Everything waits until `written`.
    #[napi(catch_unwind)]
    pub fn output(&self) -> Buffer {
        self.ends.overflow().into()
    }

    /// Node has written it.
    #[napi(catch_unwind)]
    pub fn written(&self) {
        self.ends.written();
    }
}

/// The memory of what steps say goes with this.
impl Drop for Line {
    fn drop(&mut self) {
        self.ends.mute();
    }
}
