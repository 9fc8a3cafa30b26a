//! A cache as JavaScript holds it: opened with options, asked for its health.

use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Either};
use napi_derive::napi;

use super::bridge::Bridge;
use super::text::{Json, Text};
use crate::engine::budget::Held;
use crate::engine::cache::Cache;
use crate::engine::error::CallError;
use crate::engine::options::{Given, Options};
use crate::engine::registry;
use crate::engine::status::Mode;

/// Options as `src/js/config.js` gathers them.
#[napi(object, object_to_js = false)]
pub struct GivenOptions {
    pub url: Option<String>,
    pub namespace: String,
    pub max_memory: Option<String>,
    pub timeout_ms: Option<f64>,
    pub tls_ca: Option<Vec<Buffer>>,
    pub tls_extra_ca: Option<Buffer>,
    pub tls_insecure: Option<bool>,
    pub tls_servername: Option<String>,
    pub near: bool,
    pub near_max_memory: Option<String>,
    pub near_max_age: Option<f64>,
    pub codec: Option<String>,
    pub compress_above: Option<f64>,
    pub max_value_bytes: Option<f64>,
    pub outage_stale: Option<f64>,
    pub outage_ttl: Option<f64>,
}

/// Why something was refused: an error crosses as a value and becomes an exception in JavaScript.
#[napi(object, object_from_js = false)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self { code: error.code.to_owned(), message: error.message.into_owned() }
    }
}

/// A handle on a cache. The connection closes when the last handle on its engine is closed or collected.
#[napi]
pub struct CacheHandle {
    pub(super) cache: Option<Arc<Cache>>,
    /// What its hot values hold.
    held: Arc<Held>,
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
        self.cache.as_ref().and_then(|c| u32::try_from(c.shared().near.clock()).ok()).unwrap_or(0)
    }

    /// How Redis is reached: `tcp`, `tls` or `unix`; `memory` where there is none to reach.
    #[napi(getter)]
    pub fn target(&self) -> &'static str {
        self.cache.as_ref().and_then(|c| c.engine.target()).map_or("memory", |target| target.kind())
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

    /// The JSON text of what the near cache holds at `key`, for a lone read: it crosses once, and nothing is gathered for it.
    #[napi(catch_unwind)]
    pub fn peek(&self, key: Text) -> Option<Json<Arc<str>>> {
        let Text::Ascii(key) = key else { return None };
        self.cache.as_ref()?.peek(&key, None).map(|hot| Json(hot.text))
    }

    /// Reserves so many bytes for hot values, in place of what was reserved; how many they may take.
    #[napi]
    pub fn hold(&self, bytes: f64) -> f64 {
        if self.cache.is_some() { self.held.hold(bytes as u64) as f64 } else { 0.0 }
    }

    #[napi]
    pub fn close(&mut self) {
        self.held.hold(0);
        self.cache = None;
    }
}

/// Opens a cache for an environment.
#[napi(catch_unwind)]
pub fn open(bridge: &Bridge, given: GivenOptions) -> Either<CacheHandle, Failure> {
    let given = Given {
        url: given.url,
        namespace: given.namespace,
        max_memory: given.max_memory,
        timeout_ms: given.timeout_ms,
        tls_ca: given.tls_ca.unwrap_or_default().iter().map(|pem| pem.to_vec()).collect(),
        tls_extra_ca: given.tls_extra_ca.map(|pem| pem.to_vec()),
        tls_insecure: given.tls_insecure.unwrap_or(false),
        tls_servername: given.tls_servername,
        near: given.near,
        near_max_memory: given.near_max_memory,
        near_max_age: given.near_max_age,
        codec: given.codec,
        compress_above: given.compress_above,
        max_value_bytes: given.max_value_bytes,
        outage_stale: given.outage_stale,
        outage_ttl: given.outage_ttl,
    };
    match Options::check(given).and_then(registry::open) {
        Ok(cache) => {
            let held = Arc::new(Held::new(cache.shared().budget.clone()));
            bridge.watch(&cache, &held);
            Either::A(CacheHandle { cache: Some(cache), held })
        }
        Err(error) => Either::B(error.into()),
    }
}
