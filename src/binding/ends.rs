//! What an event loop's own line has at its end: the steps of the node, the socket's copy for writing, the dial.
//!
//! Node polls the socket and reads it. Here it is written, within the call that brought the bytes about: one call into
//! Rust for all calls of a turn, and no wake-up on their way to the server. What the socket does not take at once Node
//! writes, and until it has, everything waits behind that. Where the event loop has been busy for a while, the socket
//! is read here too, before what is held is served; where it is blocked, its leases are renewed from another thread.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use napi::Result;
use napi::bindgen_prelude::Int32Array;
use parking_lot::Mutex;

use super::sink::{EnvSink, SharedVersions};
use super::text::Frames;
use crate::engine::call::sink::Versions;
use crate::engine::drive::{self, Dialled, Dialling};
use crate::engine::node::bell::Poke;
use crate::engine::node::state::Wish;
use crate::engine::node::steps::{Done, Event, Steps};

/// What a step says, by its place in the array that JavaScript reads: that Node is to write the output, to close the
/// socket, to take the one that was dialled, to make a further step at once, to let go of the line.
const OUTPUT: usize = 0;
const CLOSE: usize = 1;
const DIALLED: usize = 2;
const MORE: usize = 3;
const GONE: usize = 4;
/// Milliseconds to the next step, plus one; 0 where nothing new is to be said.
const MOMENT: usize = 5;
pub const FIELDS: usize = 6;

/// Bytes that one look at the socket takes at a time, and how often: beyond that Redis is asked.
const GLANCE: usize = 16 * 1024;
const GLANCES: usize = 64;

/// The line of one engine, as its event loop has it.
pub struct Ends {
    steps: Arc<Steps>,
    sink: Arc<EnvSink>,
    /// None once JavaScript has let go of the memory.
    said: Mutex<Option<SharedVersions>>,
    socket: Mutex<Socket>,
    dial: Mutex<Dial>,
}

#[derive(Default)]
struct Socket {
    /// A copy of the descriptor, for writing and for looks. None while there is none, or Node writes.
    out: Option<TcpStream>,
    /// The same, while Node writes.
    idle: Option<TcpStream>,
    output: Vec<u8>,
}

/// The dial under way, and what came of it.
#[derive(Default)]
struct Dial {
    dialling: Option<Dialling>,
    dialled: Option<Dialled>,
}

impl Ends {
    /// The caller keeps `said` alive until it has called `mute`.
    pub fn new(steps: Arc<Steps>, sink: Arc<EnvSink>, said: &Int32Array, poke: Poke) -> Result<Self> {
        let said = Mutex::new(Some(SharedVersions::of(said, FIELDS)?));
        steps.attach(poke);
        Ok(Self { steps, sink, said, socket: Mutex::default(), dial: Mutex::default() })
    }

    /// A call may be handed over: what it wakes needs no ring. The step follows when this is dropped.
    pub fn turn(self: &Arc<Self>) -> Turn<'_> {
        self.glance();
        self.steps.announce();
        Turn(self)
    }

    /// Nobody reads any more what steps say.
    pub fn mute(&self) {
        *self.said.lock() = None;
    }

    /// The environment ends.
    pub fn end(&self) {
        *self.dial.lock() = Dial::default();
        self.steps.end();
    }

    /// The descriptor that was dialled, for Node, which closes it; a copy is kept here.
    #[cfg(unix)]
    pub fn adopt(&self) -> Option<i32> {
        use std::os::fd::{AsFd, IntoRawFd};
        let descriptor = self.dial.lock().dialled.take_if(|dialled| dialled.is_ok())?.ok()?;
        let copy = descriptor.as_fd().try_clone_to_owned().ok()?;
        // Of a unix socket as well: it is only written and read.
        self.socket.lock().out = Some(TcpStream::from(copy));
        Some(descriptor.into_raw_fd())
    }

    #[cfg(not(unix))]
    pub fn adopt(&self) -> Option<i32> {
        None
    }

    /// Takes what the socket did not: it is written elsewhere, and everything waits until `written`.
    pub fn overflow(&self) -> Vec<u8> {
        let mut socket = self.socket.lock();
        socket.idle = socket.out.take();
        std::mem::take(&mut socket.output)
    }

    pub fn written(self: &Arc<Self>) {
        let mut socket = self.socket.lock();
        if socket.out.is_none() {
            socket.out = socket.idle.take();
        }
        drop(socket);
        self.step(Event::Turn);
    }

    /// Looks at the socket where that was not done for a while, as what is held is served only then.
    pub fn glance(self: &Arc<Self>) {
        if !self.steps.is_blind() {
            return;
        }
        let mut room = [0; GLANCE];
        for _ in 0..GLANCES {
            let at = Instant::now();
            let read = self.socket.lock().read(&mut room);
            match read {
                Some(Ok(bytes)) if bytes > 0 => {
                    if bytes < GLANCE {
                        self.steps.looked(at);
                    }
                    self.step(Event::Bytes(&room[..bytes]));
                }
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => return self.steps.looked(at),
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                // It is broken or closed: Node reads that.
                _ => return,
            }
        }
    }

    /// Node has read all that lay there, and nothing of it has been taken in yet.
    pub fn looked(&self) {
        self.steps.looked(Instant::now());
    }

    /// As `step`; returns the frames of what is complete then, as a wake-up would.
    pub fn gather(self: &Arc<Self>, event: Event<'_>) -> Option<Frames> {
        self.sink.gather(|| self.step(event))
    }

    pub fn step(self: &Arc<Self>, event: Event<'_>) {
        let mut socket = self.socket.lock();
        let failed = self.dial.lock().dialled.take_if(|dialled| dialled.is_err()).and_then(std::result::Result::err);
        if let Some(trouble) = failed {
            self.one(&mut socket, Event::Lost(trouble));
        }
        self.one(&mut socket, event);
        socket.write();
        self.say(OUTPUT, i32::from(socket.out.is_some() && !socket.output.is_empty()));
        self.say(DIALLED, i32::from(matches!(self.dial.lock().dialled, Some(Ok(_)))));
    }

    fn one(self: &Arc<Self>, socket: &mut Socket, event: Event<'_>) {
        let Done { wishes, more, moment, watch, gone } = self.steps.step(event, &mut socket.output);
        if wishes {
            self.steps.wishes().into_iter().for_each(|wish| self.fulfil(socket, wish));
        }
        if more {
            self.say(MORE, 1);
        }
        if gone {
            // What its wishes were of goes with it: the descriptor's copy, and a dial that nobody waits for.
            *socket = Socket::default();
            *self.dial.lock() = Dial::default();
            self.say(GONE, 1);
        }
        if let Some(moment) = moment {
            // Rounded up: a step that comes too early finds nothing to do.
            let ms = moment.as_micros().div_ceil(1000);
            self.say(MOMENT, i32::try_from(ms).unwrap_or(i32::MAX - 1).saturating_add(1));
        }
        if let Some(after) = watch {
            let line = Arc::downgrade(self);
            drive::again(after, move || line.upgrade()?.stand_in());
        }
    }

    /// On the engine's thread: renews the leases of an event loop that is blocked. When to look again.
    fn stand_in(&self) -> Option<Duration> {
        let mut socket = self.socket.lock();
        let next = self.steps.stand_in(Instant::now(), &mut socket.output);
        // What it does not take is written in front of what the next step writes.
        socket.write();
        next
    }

    fn say(&self, field: usize, value: i32) {
        if let Some(said) = self.said.lock().as_ref().and_then(|said| said.counters().get(field)) {
            said.store(value, Ordering::Relaxed);
        }
    }

    fn fulfil(self: &Arc<Self>, socket: &mut Socket, wish: Wish) {
        // Each wish ends what there is.
        *socket = Socket::default();
        *self.dial.lock() = Dial::default();
        self.say(CLOSE, 1);
        if let Wish::Dial(target, deadline) = wish {
            let line: Weak<Self> = Arc::downgrade(self);
            let dialling = drive::dial(target, deadline, move |dialled| {
                let Some(line) = line.upgrade() else { return };
                line.dial.lock().dialled = Some(dialled);
                line.steps.ring();
            });
            let mut dial = self.dial.lock();
            match dialling {
                Ok(dialling) => dial.dialling = Some(dialling),
                Err(trouble) => {
                    dial.dialled = Some(Err(trouble));
                    self.steps.ring();
                }
            }
        }
    }
}

impl Socket {
    fn read(&mut self, room: &mut [u8]) -> Option<std::io::Result<usize>> {
        self.out.as_mut().or(self.idle.as_mut()).map(|socket| socket.read(room))
    }

    /// Writes what the socket takes at once.
    fn write(&mut self) {
        let Some(out) = &mut self.out else { return };
        let mut written = 0;
        while written < self.output.len() {
            match out.write(&self.output[written..]) {
                Ok(bytes) if bytes > 0 => written += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // It is broken: Node reads why, or that it was closed.
                _ => written = self.output.len(),
            }
        }
        if written == self.output.len() {
            self.output.clear();
        } else {
            self.output.drain(..written);
        }
    }
}

/// While calls are handed over.
pub struct Turn<'a>(&'a Arc<Ends>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.step(Event::Turn);
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.end();
    }
}
