//! The bridge of one environment: its calls go in here, its replies come back through its sink.

use std::sync::{Arc, Weak};

use napi::bindgen_prelude::Function;
use napi::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;

use super::cache::CacheHandle;
use super::decode::{self, STRIDE};
use super::sink::EnvSink;
use super::text::{Json, Text};
use crate::engine::batch::{Reply, ReplyTo, Sink, Task};
use crate::engine::cache::Cache;
use crate::engine::registry::Engine;
use crate::engine::splice;

#[napi]
pub struct Bridge {
    sink: Arc<EnvSink>,
    /// Whom to tell when the environment ends.
    engines: Mutex<Vec<Weak<Engine>>>,
}

#[napi]
impl Bridge {
    /// `wake` is called with `[id,[reply,…],errors,…]` whenever replies have come; see the engine's `splice`.
    #[napi(constructor)]
    pub fn new(wake: Function<'_, Json, ()>) -> Result<Self> {
        Ok(Self { sink: EnvSink::new(&wake)?, engines: Mutex::default() })
    }

    /// Hands over the calls of one turn: `count` operations in `numbers`, their keys and values in `text`. Returns `[[reply,…],errors]` where they
    /// could be answered at once, else the answer comes as the frame `id`.
    #[napi(catch_unwind)]
    pub fn submit(
        &self,
        env: Env,
        cache: &CacheHandle,
        id: u32,
        text: Text,
        numbers: &[f64],
        count: u32,
    ) -> Option<Json> {
        let cache = cache.cache.as_ref()?;
        let numbers = &numbers[..numbers.len().min(count as usize * STRIDE)];
        let replies = cache.submit(decode::batch(text, numbers), &self.reply_to(id));
        self.answer(&env, replies)
    }

    /// Hands over long work: 0 `delPattern`, 1 `clear`, 2 `clear` with FLUSHDB, 3 `getStats`.
    #[napi(catch_unwind)]
    pub fn run(&self, env: Env, cache: &CacheHandle, id: u32, task: u32, pattern: Text) -> Option<Json> {
        let cache = cache.cache.as_ref()?;
        let task = match task {
            0 => Task::DelPattern(pattern.into_lossy()),
            1 => Task::Clear { flush_db: false },
            2 => Task::Clear { flush_db: true },
            _ => Task::Stats,
        };
        let replies = cache.run(task, &self.reply_to(id));
        self.answer(&env, replies)
    }

    /// Nothing is under way any more: the environment may end.
    #[napi]
    pub fn rest(&self, env: Env) {
        self.sink.keep_alive(&env, false);
    }

    fn reply_to(&self, id: u32) -> ReplyTo {
        ReplyTo { sink: self.sink.clone(), id }
    }

    fn answer(&self, env: &Env, replies: Option<Vec<Reply>>) -> Option<Json> {
        if replies.as_ref().is_none_or(|r| r.contains(&Reply::Wait)) {
            self.sink.keep_alive(env, true);
        }
        let replies = replies?;
        let mut text = String::from("[");
        splice::body(&mut text, &replies);
        text.push(']');
        Some(Json(text))
    }

    /// Subscribes to the events of a cache's engine, and remembers it for the end.
    pub(super) fn watch(&self, cache: &Cache) {
        let sink: Arc<dyn Sink> = self.sink.clone();
        cache.shared().status.subscribe(Arc::downgrade(&sink));
        let mut engines = self.engines.lock();
        engines.retain(|engine| engine.strong_count() > 0);
        let engine = Arc::downgrade(&cache.engine);
        if !engines.iter().any(|known| known.ptr_eq(&engine)) {
            engines.push(engine);
        }
    }
}

/// The environment ends, or the module was loaded anew: its waiters go, and what it computed others compute.
impl Drop for Bridge {
    fn drop(&mut self) {
        self.sink.close();
        for engine in self.engines.lock().iter().filter_map(Weak::upgrade) {
            engine.shared.flights.forget(self.sink.client()).send();
        }
    }
}
