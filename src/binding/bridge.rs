//! The bridge of one environment: its calls go in here, its replies come back through its sink.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{Function, Int32Array};
use napi::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;

use super::cache::CacheHandle;
use super::decode;
use super::ends::Ends;
use super::external;
use super::sink::{EnvSink, SharedVersions};
use super::text::{Frames, Json, Text, Turn};
use crate::engine::base::clock::{Clock, Ttl};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::shared::Shared;
use crate::engine::call::batch::{Scan, Task};
use crate::engine::call::leaves::Shapes;
use crate::engine::call::mend;
use crate::engine::call::reply::{Hot, Reply, Submitted};
use crate::engine::call::sink::{COUNTERS, MOST_PEEKED, PEEKED, ReplyTo, Sink, Versions};
use crate::engine::call::splice;
use crate::engine::tier::budget::Held;

#[napi]
pub struct Bridge {
    end: Arc<End>,
    shapes: Arc<Shapes>,
    /// Keeps the memory of `versions` alive; the last field, so that it goes last.
    _memory: Int32Array,
}

#[napi]
impl Bridge {
    /// `wake` is called with `[id,from,[reply,…],asides,…]` whenever replies have come, alone or first in a list of the
    /// texts that come beside it; see the engine's `splice`.
    /// `versions` lies on a SharedArrayBuffer. `lends`: the runtime is one that gives back what strings were lent.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Function<'_, Frames, ()>, versions: Int32Array, lends: bool) -> Result<Self> {
        if lends {
            external::allow();
        }
        let shared: Arc<dyn Versions> = Arc::new(SharedVersions::new(&versions)?);
        let end = Arc::new(End {
            sink: EnvSink::new(&wake, shared.clone())?,
            versions: shared,
            engines: Mutex::default(),
            held: Mutex::default(),
            lines: Mutex::default(),
        });
        // Not every runtime finalizes what it wrapped when a worker is terminated (Deno does not), and the memory of
        // the versions goes with the worker.
        env.add_env_cleanup_hook(Arc::downgrade(&end), |end| {
            if let Some(end) = end.upgrade() {
                end.close();
            }
        })?;
        Ok(Self { end, shapes: Arc::default(), _memory: versions })
    }

    /// How many counters `versions` must have.
    #[napi]
    pub fn slots() -> u32 {
        u32::try_from(COUNTERS).unwrap_or(u32::MAX)
    }

    /// Milliseconds of the clock in which the versions' moments are.
    #[napi]
    pub fn now() -> f64 {
        Clock::System.now_ms() as f64
    }

    /// The number of the shape with these names, JSON strings between line feeds; null where no more are kept.
    #[napi(catch_unwind)]
    pub fn shape(&self, names: String) -> Option<u32> {
        self.shapes.number(&names)
    }

    /// Hands over the calls of one turn: operations in the first `used` of `numbers`, their keys and values in `text`,
    /// which is first in a list where some values lie behind it. Returns `[[reply,…],asides,hot,later]`, alone or first
    /// in a list of what comes beside it, where something could be answered at once; what could not comes as the frame
    /// `id`.
    #[napi(catch_unwind)]
    pub fn submit(
        &self,
        env: Env,
        cache: &CacheHandle,
        id: u32,
        text: Turn,
        numbers: &[f64],
        used: u32,
    ) -> Option<Frames> {
        let CacheHandle { cache, line, .. } = cache;
        let cache = cache.as_ref()?;
        let _turn = line.as_ref().map(|line| line.turn());
        let numbers = &numbers[..numbers.len().min(used as usize)];
        match cache.submit(decode::batch(text, numbers, &self.shapes), &self.reply_to(id)) {
            // Too long for one text: they come in frames.
            Submitted::Answered(replies) if splice::size(&replies) > splice::MAX_FRAME => {
                self.end.sink.keep_alive(&env, true);
                self.reply_to(id).complete(&replies);
                None
            }
            Submitted::Answered(replies) => self.answer(&env, &replies),
            Submitted::Partly(replies) => self.answer(&env, &replies),
            Submitted::Later => {
                self.end.sink.keep_alive(&env, true);
                None
            }
        }
    }

    /// Where, among the versions, a peek leaves what JavaScript needs to keep the value.
    #[napi]
    pub fn peeked() -> u32 {
        u32::try_from(PEEKED).unwrap_or(u32::MAX)
    }

    /// As `CacheHandle.peek`, with what JavaScript needs to keep the value: no versions where it may not.
    #[napi(catch_unwind)]
    pub fn peek_hot(&self, cache: &CacheHandle, key: Text) -> Option<Json<Arc<str>>> {
        let Text::Ascii(key) = key else { return None };
        cache.glance();
        let hot = cache.cache.as_ref()?.peek(&key, Some(&*self.end.versions))?;
        leave(&hot, self.end.versions.counters());
        Some(Json(hot.text))
    }

    /// Hands over long work: 0 `delPattern`, 1 `clear`, 2 `clear` with FLUSHDB, 3 `getStats`, 4 a page of `scan`.
    #[napi(catch_unwind)]
    pub fn run(&self, env: Env, cache: &CacheHandle, id: u32, task: u32, pattern: Text) -> Option<Frames> {
        let CacheHandle { cache, line, .. } = cache;
        let cache = cache.as_ref()?;
        let _turn = line.as_ref().map(|line| line.turn());
        let task = match task {
            0 => Task::DelPattern(pattern.into_lossy()),
            1 => Task::Clear { flush_db: false },
            2 => Task::Clear { flush_db: true },
            4 => Task::Scan(Scan::parse(&pattern.into_lossy())),
            _ => Task::Stats,
        };
        match cache.run(task, &self.reply_to(id)) {
            Some(reply) => self.answer(&env, &[reply]),
            None => {
                self.end.sink.keep_alive(&env, true);
                None
            }
        }
    }

    /// Gathers what others change of a cache's keys from here on, or no longer. The event `invalidate` says that there
    /// is something to ask for: `CacheHandle.changed`.
    #[napi]
    pub fn listen(&self, cache: &mut CacheHandle, listens: bool) {
        let sink: Arc<dyn Sink> = self.end.sink.clone();
        cache.ear = cache.cache.as_ref().filter(|_| listens).map(|cache| {
            let shared = cache.shared();
            shared.listening.listen(shared.status.id(), &cache.prefix, Arc::downgrade(&sink))
        });
    }

    /// Frames that could not be parsed, where `null` is in place of what is no JSON; see the engine's `mend`.
    #[napi(catch_unwind)]
    pub fn mend(text: Text) -> Option<Json> {
        mend::mend(&text.into_lossy()).map(Json)
    }

    /// Whose frames the last wake-up was given; 0 stands for an event. For a text of them that could not be read.
    #[napi]
    pub fn last_ids(&self) -> Vec<u32> {
        self.end.sink.last()
    }

    /// Nothing is under way any more: the environment may end.
    #[napi]
    pub fn rest(&self, env: Env) {
        self.end.sink.keep_alive(&env, false);
    }

    fn reply_to(&self, id: u32) -> ReplyTo {
        ReplyTo { sink: self.end.sink.clone(), id }
    }

    fn answer(&self, env: &Env, replies: &[Reply]) -> Option<Frames> {
        if replies.iter().any(|r| matches!(r, Reply::Wait | Reply::Later)) {
            self.end.sink.keep_alive(env, true);
        }
        let (mut text, mut lone) = (String::from("["), Vec::new());
        splice::at_once(&mut text, replies, &mut lone);
        text.push(']');
        Some(Frames { text, lone })
    }

    pub(super) fn sink(&self) -> Arc<EnvSink> {
        self.end.sink.clone()
    }

    /// The number of this environment among those of the process.
    pub(super) fn client(&self) -> u32 {
        self.end.sink.client()
    }

    /// Remembers a line of this environment for its end.
    pub(super) fn keep(&self, line: &Arc<Ends>) {
        let mut lines = self.end.lines.lock();
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(line));
    }

    /// Subscribes to the events of a cache's engine, and remembers it for the end.
    pub(super) fn watch(&self, cache: &Cache, held: &Arc<Held>) {
        let sink: Arc<dyn Sink> = self.end.sink.clone();
        cache.shared().status.subscribe(Arc::downgrade(&sink));
        for server in cache.shared().fleet.servers() {
            server.near.share(self.end.versions.clone());
        }
        let mut engines = self.end.engines.lock();
        engines.retain(|engine| engine.strong_count() > 0);
        let engine = Arc::downgrade(cache.shared());
        if !engines.iter().any(|known| known.ptr_eq(&engine)) {
            engines.push(engine);
        }
        let mut all = self.end.held.lock();
        all.retain(|held| held.strong_count() > 0);
        all.push(Arc::downgrade(held));
    }
}

/// Leaves what JavaScript needs to keep a value where that looks for it.
fn leave(hot: &Hot, counters: &[AtomicI32]) {
    let versions = if hot.versions.len() <= MOST_PEEKED { &hot.versions[..] } else { &[] };
    let ms = match hot.ttl {
        Ttl::Millis(ms) => i32::try_from(ms).unwrap_or(i32::MAX),
        Ttl::Forever => i32::MAX,
    };
    let head = [i32::try_from(versions.len()).unwrap_or(0), ms];
    let pairs = versions.iter().flat_map(|(slot, version)| [i32::try_from(*slot).unwrap_or(i32::MAX), *version]);
    for (field, value) in counters.iter().skip(PEEKED).zip(head.into_iter().chain(pairs)) {
        field.store(value, Ordering::Relaxed);
    }
}

/// What must be undone when the environment ends, or the bridge goes before it does.
struct End {
    sink: Arc<EnvSink>,
    versions: Arc<dyn Versions>,
    /// Whom to tell when the environment ends.
    engines: Mutex<Vec<Weak<Shared>>>,
    /// What its hot values hold.
    held: Mutex<Vec<Weak<Held>>>,
    lines: Mutex<Vec<Weak<Ends>>>,
}

impl End {
    fn close(&self) {
        self.sink.close();
        for line in self.lines.lock().drain(..).filter_map(|line| line.upgrade()) {
            line.end();
        }
        self.held.lock().drain(..).filter_map(|held| held.upgrade()).for_each(|held| _ = held.hold(0));
        for engine in self.engines.lock().drain(..).filter_map(|engine| engine.upgrade()) {
            engine.fleet.servers().for_each(|server| server.near.unshare(&self.versions));
            engine.flights.forget(self.sink.client()).send();
        }
    }
}

/// The environment ends, or the module was loaded anew: its waiters go, and what it computed others compute.
impl Drop for Bridge {
    fn drop(&mut self) {
        self.end.close();
    }
}
