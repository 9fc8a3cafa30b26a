//! A cache as JavaScript holds it: asked for its mode, its health, and what its near cache has.

use std::sync::Arc;

use napi_derive::napi;

use super::ends::Ends;
use super::text::{Json, Text};
use crate::engine::cache::tell::listening::Ear;
use crate::engine::cache::tell::stats::counters_json;
use crate::engine::cache::tell::status::Mode;
use crate::engine::front::Front;
use crate::engine::node::steps::Steps;
use crate::engine::tier::budget::Held;

/// A handle on a cache. The connection closes when the last handle on its engine is closed or collected.
#[napi]
pub struct CacheHandle {
    pub(super) cache: Option<Front>,
    /// What its hot values hold.
    pub(super) held: Arc<Held>,
    /// The steps of its engine, where this environment makes them and has no line for them yet.
    pub(super) steps: Option<Arc<Steps>>,
    /// The line of its engine, where this environment has it.
    pub(super) line: Option<Arc<Ends>>,
    /// While somebody listens to what others change.
    pub(super) ear: Option<Arc<Ear>>,
}

impl CacheHandle {
    /// Before what is held is looked at: the event loop's own line, if it has one, is looked at.
    pub(super) fn glance(&self) {
        if let Some(line) = &self.line {
            line.glance();
        }
    }
}

#[napi]
impl CacheHandle {
    /// Names the engine in events.
    #[napi(getter)]
    pub fn engine(&self) -> u32 {
        self.cache.as_ref().map_or(0, |c| c.shared().status.id())
    }

    /// What its keys are stored under; with the engine it names what they share with another cache's.
    #[napi(getter)]
    pub fn prefix(&self) -> &str {
        self.cache.as_ref().map_or("", |c| c.prefix.as_str())
    }

    /// Where, among the versions, its engine says until when it vouches for hot values.
    #[napi(getter)]
    pub fn clock(&self) -> u32 {
        self.cache.as_ref().and_then(|c| u32::try_from(c.shared().fleet.clock()).ok()).unwrap_or(0)
    }

    /// How Redis is reached: `tcp`, `tls` or `unix`; `memory` where there is none to reach.
    #[napi(getter)]
    pub fn target(&self) -> &'static str {
        self.cache.as_ref().and_then(Front::target).unwrap_or("memory")
    }

    /// Whether this environment does the I/O of its engine.
    #[napi(getter)]
    pub fn lined(&self) -> bool {
        self.steps.is_some()
    }

    #[napi(getter)]
    pub fn mode(&self) -> &'static str {
        self.cache.as_ref().map_or(Mode::Memory, |c| c.mode()).name()
    }

    /// `health()` as JSON, undefined once closed.
    #[napi]
    pub fn health(&self, production: bool) -> Option<Json> {
        self.cache.as_ref().map(|c| Json(c.health(production)))
    }

    /// `getCounters()` as JSON, undefined once closed.
    #[napi]
    pub fn counters(&self) -> Option<Json> {
        self.cache.as_ref().map(|c| Json(counters_json(c)))
    }

    /// Entries that the memory bound has pushed out so far, of all caches of its engine; 0 once closed.
    #[napi(getter)]
    pub fn evictions(&self) -> f64 {
        self.cache.as_ref().map_or(0, |c| c.shared().usage().evictions) as f64
    }

    /// What others changed since this was last asked, as JSON: see the engine's `Ear`. Undefined where that is nothing.
    #[napi]
    pub fn changed(&self) -> Option<Json> {
        self.ear.as_ref()?.take().map(Json)
    }

    /// The JSON text of what the near cache holds at `key`, for a lone read: it crosses once, and nothing is gathered
    /// for it.
    #[napi(catch_unwind)]
    pub fn peek(&self, key: Text) -> Option<Json<Arc<str>>> {
        let Text::Ascii(key) = key else { return None };
        self.glance();
        self.cache.as_ref()?.peek(&key, None).map(|hot| Json(hot.text))
    }

    /// Reserves so many bytes for hot values, in place of what was reserved; how many they may take.
    #[napi]
    pub fn hold(&self, bytes: f64) -> f64 {
        if self.cache.is_some() { self.held.hold(bytes as u64) as f64 } else { 0.0 }
    }

    /// So many of the values that were read for it are no JSON.
    #[napi]
    pub fn misread(&self, values: u32) {
        if let Some(cache) = &self.cache {
            cache.misread(values.into());
        }
    }

    #[napi]
    pub fn close(&mut self) {
        self.held.hold(0);
        let _turn = self.line.as_ref().map(|line| line.turn());
        self.cache = None;
        self.ear = None;
    }
}
