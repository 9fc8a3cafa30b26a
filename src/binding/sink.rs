//! The way back: replies from any thread, gathered into one text and one wake-up of the event loop.
//!
//! A wake-up costs the event loop more than everything else a reply does. So replies are spliced where they arise, on
//! the engine's thread, and only the first one since the last wake-up wakes; what comes until JavaScript runs travels
//! with it. The function that JavaScript gets called with is weak: it keeps the process alive only while calls are
//! under way.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use napi::bindgen_prelude::{Function, Int32Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Error, Result, Status, sys};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;

use super::text::Frames;
use crate::engine::base::text::Json;
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::Sink;
use crate::engine::call::sink::{COUNTERS, Versions};
use crate::engine::call::splice;

type Wake = ThreadsafeFunction<(), (), Frames, Status, false, true, 0>;

/// One environment of JavaScript as the engine sees it.
pub struct EnvSink {
    client: u32,
    queue: Mutex<Queue>,
    wake: OnceCell<Wake>,
    /// Whether the environment is kept alive for what is under way.
    alive: AtomicBool,
    closed: AtomicBool,
    versions: Arc<dyn Versions>,
}

/// The counters that hot values are checked against: memory of a SharedArrayBuffer that JavaScript made.
pub struct SharedVersions {
    first: NonNull<AtomicI32>,
    count: usize,
}

// SAFETY: the memory is a SharedArrayBuffer's, made to be used by several threads, and is only ever accessed by atomic
// operations: here through `AtomicI32`, in JavaScript through `Atomics`.
unsafe impl Send for SharedVersions {}
// SAFETY: as above.
unsafe impl Sync for SharedVersions {}

impl SharedVersions {
    /// The caller keeps `array` alive, and takes this back from all who have it before it lets go of it.
    pub fn new(array: &Int32Array) -> Result<Self> {
        Self::of(array, COUNTERS)
    }

    /// As `new`, for so many counters of another kind.
    pub fn of(array: &Int32Array, least: usize) -> Result<Self> {
        let (first, count) = (array.as_ptr().cast_mut(), array.len());
        match NonNull::new(first.cast::<AtomicI32>()) {
            // An Int32Array is aligned to 4 bytes, as an AtomicI32 must be.
            Some(first) if count >= least => Ok(Self { first, count }),
            _ => Err(Error::new(Status::InvalidArg, "the versions are too few".to_owned())),
        }
    }
}

impl Versions for SharedVersions {
    fn counters(&self) -> &[AtomicI32] {
        // SAFETY: `first` points to `count` aligned 32-bit integers that live as long as the array, which whoever
        // made this holds until it has taken this back; a SharedArrayBuffer's memory neither moves nor shrinks.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

#[derive(Default)]
struct Queue {
    frames: Vec<Frame>,
    awake: bool,
    /// Whose frames the last wake-up was given.
    last: Vec<u32>,
}

/// Replies of `id`; 0: an event.
struct Frame {
    id: u32,
    /// Begins with `[`, which becomes the array's or a comma.
    text: String,
    /// What comes beside it.
    lone: Vec<Json>,
}

impl Frame {
    fn bytes(&self) -> usize {
        self.text.len() + self.lone.iter().map(|json| json.given().size()).sum::<usize>()
    }
}

impl EnvSink {
    /// Makes the sink of an environment; `wake` gets the frames.
    pub fn new(wake: &Function<'_, Frames, ()>, versions: Arc<dyn Versions>) -> Result<Arc<Self>> {
        static NEXT_CLIENT: AtomicU32 = AtomicU32::new(1);
        let sink = Arc::new(Self {
            client: NEXT_CLIENT.fetch_add(1, Ordering::Relaxed),
            queue: Mutex::default(),
            wake: OnceCell::new(),
            alive: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            versions,
        });
        let weak = Arc::downgrade(&sink);
        let function = wake
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .callee_handled::<false>()
            .build_callback(move |_| Ok(drain(&weak)))?;
        let _ = sink.wake.set(function);
        Ok(sink)
    }

    /// Keeps the environment alive, while calls are under way, or lets it end. On the environment's thread only.
    pub fn keep_alive(&self, env: &Env, alive: bool) {
        let Some(wake) = self.wake.get() else { return };
        if self.alive.swap(alive, Ordering::SeqCst) == alive {
            return;
        }
        let change = if alive { sys::napi_ref_threadsafe_function } else { sys::napi_unref_threadsafe_function };
        // SAFETY: called on the environment's own thread, with its live `env`, while JavaScript runs; the threadsafe
        // function lives as long as `wake`, which this sink holds. Both calls only flip libuv's reference flag.
        let _ = unsafe { change(env.raw(), wake.raw()) };
    }

    /// The environment ends: nothing is delivered from here on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.queue.lock().frames.clear();
    }

    /// The ids of the frames that the last wake-up was given.
    pub fn last(&self) -> Vec<u32> {
        self.queue.lock().last.clone()
    }

    /// Runs something on the environment's thread, and returns what it brought, and what waited, as a wake-up would.
    pub fn gather(self: &Arc<Self>, run: impl FnOnce()) -> Option<Frames> {
        // Nobody rings meanwhile: it is taken below.
        self.queue.lock().awake = true;
        run();
        let mut queue = self.queue.lock();
        if queue.frames.is_empty() {
            queue.awake = false;
            return None;
        }
        drop(queue);
        Some(drain(&Arc::downgrade(self)))
    }

    fn push(&self, frame: Frame) {
        if self.closed() {
            return;
        }
        let first = {
            let mut queue = self.queue.lock();
            queue.frames.push(frame);
            !std::mem::replace(&mut queue.awake, true)
        };
        if first {
            self.ring();
        }
    }

    fn ring(&self) {
        if let Some(wake) = self.wake.get() {
            // "Closing" means that the environment has ended: nobody waits for the answer any more.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Sink for EnvSink {
    fn client(&self) -> u32 {
        self.client
    }

    fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn complete(&self, id: u32, replies: &[Reply]) {
        for (from, part) in splice::parts(replies, splice::MAX_FRAME) {
            let (mut text, mut lone) = (opened(part), Vec::new());
            splice::frame(&mut text, id, from, part, &mut lone);
            self.push(Frame { id, text, lone });
        }
    }

    fn complete_some(&self, id: u32, places: &[u32], replies: &[Reply]) {
        for (from, part) in splice::parts(replies, splice::MAX_FRAME) {
            let Some(places) = places.get(from..from + part.len()) else { return };
            let (mut text, mut lone) = (opened(part), Vec::new());
            splice::some(&mut text, id, places, part, &mut lone);
            self.push(Frame { id, text, lone });
        }
    }

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        Some(self.versions.clone())
    }

    fn event(&self, json: String) {
        self.push(Frame { id: 0, text: format!("[0,0,{json},0"), lone: Vec::new() });
    }
}

/// The beginning of a frame's text, with room for the rest.
fn opened(replies: &[Reply]) -> String {
    let mut text = String::with_capacity(splice::size(replies) + 48);
    text.push('[');
    text
}

/// Takes what has gathered, as one array of frames: as much as one frame may have, or a single one. Runs on the
/// environment's thread.
fn drain(sink: &Weak<EnvSink>) -> Frames {
    let Some(sink) = sink.upgrade() else { return Frames::default() };
    let (frames, more) = {
        let mut queue = sink.queue.lock();
        let mut size = 0;
        let fits = queue
            .frames
            .iter()
            .take_while(|frame| {
                let fits = size == 0 || size + frame.bytes() <= splice::MAX_FRAME;
                size += frame.bytes();
                fits
            })
            .count();
        let rest = queue.frames.split_off(fits);
        let frames = std::mem::replace(&mut queue.frames, rest);
        queue.last.clear();
        queue.last.extend(frames.iter().map(|frame| frame.id));
        // Cleared with the frames under one lock: whoever comes after that wakes again.
        queue.awake = !queue.frames.is_empty();
        (frames, queue.awake)
    };
    if more {
        sink.ring();
    }
    join(frames)
}

/// Joins frames that each begin with `[`: the first one's opens the array, the others' become commas.
fn join(frames: Vec<Frame>) -> Frames {
    let mut frames = frames.into_iter();
    let Some(Frame { mut text, mut lone, .. }) = frames.next() else { return Frames::default() };
    for frame in frames {
        text.push(',');
        text.push_str(&frame.text[1..]);
        lone.extend(frame.lone);
    }
    text.push(']');
    Frames { text, lone }
}
