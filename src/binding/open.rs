//! Opens a cache: options as JavaScript gathers them, or why they were refused.

use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Either};
use napi_derive::napi;

use super::bridge::Bridge;
use super::cache::CacheHandle;
use crate::engine::base::error::CallError;
use crate::engine::cache::options::{Given, Options};
use crate::engine::call::sink::Sink;
use crate::engine::net::nodes::GivenCluster;
use crate::engine::net::password::{self, Keeper, Password, Refusal};
use crate::engine::net::seeds::GivenSentinels;
use crate::engine::registry;
use crate::engine::tier::budget::Held;

/// Options as `src/js/config.js` gathers them.
#[napi(object, object_to_js = false)]
pub struct GivenOptions {
    pub url: Option<String>,
    pub sentinel: Option<GivenSentinel>,
    pub username: Option<String>,
    pub password: Option<String>,
    /// The number of the function that gives it, in place of a text.
    pub password_function: Option<u32>,
    pub database: Option<f64>,
    /// The servers that the sentinels name speak TLS.
    pub tls: bool,
    pub namespace: String,
    pub max_memory: Option<String>,
    pub timeout_ms: Option<f64>,
    pub tls_ca: Option<Vec<Buffer>>,
    pub tls_extra_ca: Option<Buffer>,
    pub tls_insecure: Option<bool>,
    pub tls_servername: Option<String>,
    pub tls_cert: Option<Buffer>,
    pub tls_key: Option<Buffer>,
    pub near: bool,
    pub near_max_memory: Option<String>,
    pub near_max_age: Option<f64>,
    pub codec: Option<String>,
    pub compress_above: Option<f64>,
    pub max_value_bytes: Option<f64>,
    pub outage_stale: Option<f64>,
    pub outage_ttl: Option<f64>,
    /// Seconds; 0 for none.
    pub heartbeat: Option<f64>,
    pub marks: Option<bool>,
    pub lazy: Option<bool>,
    pub read_from: Option<String>,
    pub cluster: Option<GivenNodes>,
    /// The event loop does the I/O, where nobody else does it yet.
    pub loop_io: bool,
}

/// `sentinel`, as `src/js/options/servers.js` gathers it.
#[napi(object, object_to_js = false)]
pub struct GivenSentinel {
    pub nodes: Vec<String>,
    pub name: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub tls: Option<bool>,
    /// What they say and where that is, in turn.
    pub address_map: Vec<String>,
}

impl From<GivenSentinel> for GivenSentinels {
    fn from(given: GivenSentinel) -> Self {
        let GivenSentinel { nodes, name, username, password, tls, address_map } = given;
        Self { nodes, name, username, password, tls, address_map: pairs(&address_map) }
    }
}

/// `cluster`, as `src/js/options/servers.js` gathers it.
#[napi(object, object_to_js = false)]
pub struct GivenNodes {
    pub nodes: Vec<String>,
    /// What they say and where that is, in turn.
    pub address_map: Vec<String>,
}

impl From<GivenNodes> for GivenCluster {
    fn from(GivenNodes { nodes, address_map }: GivenNodes) -> Self {
        Self { nodes, address_map: pairs(&address_map) }
    }
}

fn pairs(map: &[String]) -> Vec<(String, String)> {
    map.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
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

/// The number of a function that gives a password, for an environment that knows none for it yet.
#[napi]
pub fn password_number() -> u32 {
    password::next_number()
}

/// What such a function gave when it was asked this question: null where it is no text; or that it threw.
#[napi(catch_unwind)]
pub fn give_password(question: u32, text: Option<String>, threw: bool) {
    let refusal = if threw { Refusal::Threw } else { Refusal::NoText };
    password::answer(question, text.filter(|_| !threw).ok_or(refusal));
}

/// Opens a cache for an environment.
#[napi(catch_unwind)]
pub fn open(bridge: &Bridge, given: GivenOptions) -> Either<CacheHandle, Failure> {
    let loop_io = given.loop_io;
    let keeper = |number| {
        let sink: Arc<dyn Sink> = bridge.sink();
        Password::Asked(Keeper::new(number, Arc::downgrade(&sink)))
    };
    let given = Given {
        url: given.url,
        sentinel: given.sentinel.map(GivenSentinels::from),
        username: given.username,
        password: given.password_function.map(keeper).or(given.password.map(Password::Text)),
        database: given.database,
        tls: given.tls,
        namespace: given.namespace,
        max_memory: given.max_memory,
        timeout_ms: given.timeout_ms,
        tls_ca: given.tls_ca.unwrap_or_default().iter().map(|pem| pem.to_vec()).collect(),
        tls_extra_ca: given.tls_extra_ca.map(|pem| pem.to_vec()),
        tls_insecure: given.tls_insecure.unwrap_or(false),
        tls_servername: given.tls_servername,
        tls_cert: given.tls_cert.map(|pem| pem.to_vec()),
        tls_key: given.tls_key.map(|pem| pem.to_vec()),
        near: given.near,
        near_max_memory: given.near_max_memory,
        near_max_age: given.near_max_age,
        codec: given.codec,
        compress_above: given.compress_above,
        max_value_bytes: given.max_value_bytes,
        outage_stale: given.outage_stale,
        outage_ttl: given.outage_ttl,
        heartbeat: given.heartbeat,
        marks: given.marks,
        lazy: given.lazy,
        read_from: given.read_from,
        cluster: given.cluster.map(GivenCluster::from),
    };
    match Options::check(given) {
        Ok(options) => {
            let owner = (loop_io && cfg!(unix)).then(|| bridge.client());
            let (cache, steps) = registry::open_for(&options, owner);
            let held = Arc::new(Held::new(cache.shared().budget.clone()));
            bridge.watch(&cache, &held);
            Either::A(CacheHandle { cache: Some(cache), held, steps, line: None, ear: None })
        }
        Err(error) => Either::B(error.into()),
    }
}
