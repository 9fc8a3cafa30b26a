//! What a cache is told: checked here, once, whether it comes from `createCache` or from the environment.

use std::time::Duration;

use crate::engine::base::error::CallError;
use crate::engine::base::key;
use crate::engine::net::nodes::GivenCluster;
use crate::engine::net::password::Password;
use crate::engine::net::seeds::{GivenAccess, GivenSentinels, Seeds, Sentinels};
use crate::engine::net::target::Trust;
use crate::engine::net::target::{HEARTBEAT, Habits};
use crate::engine::net::tls;
use crate::engine::value::entry::{Codec, Format};

/// A cache's options as the caller gave them; `None` is "not said".
#[derive(Clone, Default)]
pub struct Given {
    /// Empty: memory mode, unless there are sentinels.
    pub url: Option<String>,
    /// In place of the URL.
    pub sentinel: Option<GivenSentinels>,
    /// In place of what the URL says.
    pub username: Option<String>,
    pub password: Option<Password>,
    /// The number of the database, beside sentinels.
    pub database: Option<f64>,
    /// The servers that the sentinels name speak TLS.
    pub tls: bool,
    pub namespace: String,
    pub max_memory: Option<String>,
    pub timeout_ms: Option<f64>,
    /// PEM texts.
    pub tls_ca: Vec<Vec<u8>>,
    /// What Node itself was given (NODE_EXTRA_CA_CERTS): as PEM, and what of it cannot be used is ignored.
    pub tls_extra_ca: Option<Vec<u8>>,
    pub tls_insecure: bool,
    pub tls_servername: Option<String>,
    /// PEM texts: who we are.
    pub tls_cert: Option<Vec<u8>>,
    pub tls_key: Option<Vec<u8>>,
    /// Whether reads are kept in process while Redis vouches for them.
    pub near: bool,
    pub near_max_memory: Option<String>,
    /// Seconds.
    pub near_max_age: Option<f64>,
    /// `json` (also where it is not said), `structured`, `raw` or `text`.
    pub codec: Option<String>,
    /// Bytes above which values are compressed; none for never.
    pub compress_above: Option<f64>,
    /// The most bytes of one value.
    pub max_value_bytes: Option<f64>,
    /// Seconds.
    pub outage_stale: Option<f64>,
    pub outage_ttl: Option<f64>,
    /// Seconds; 0 for none.
    pub heartbeat: Option<f64>,
    pub marks: Option<bool>,
    pub lazy: Option<bool>,
    /// `primary` (also where it is not said), or `replica`.
    pub read_from: Option<String>,
    /// Where the nodes of a cluster are.
    pub cluster: Option<GivenCluster>,
}

/// The options of one cache, checked.
#[derive(Clone)]
pub struct Options {
    /// `None`: memory mode.
    pub seeds: Option<Seeds>,
    pub namespace: String,
    /// None: nothing was said, and the default bounds the tier unless another cache of the engine says something.
    pub max_memory: Option<u64>,
    pub timeout: Duration,
    pub near: Option<NearOptions>,
    pub format: Format,
    pub outage_stale: Duration,
    pub outage_ttl: Duration,
    pub habits: Habits,
}

/// How the near cache is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearOptions {
    /// None: all that `max_memory` leaves.
    pub max_memory: Option<u64>,
    /// The longest an entry is kept without asking again, whatever its TTL.
    pub max_age: Duration,
}

pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);
/// Bounds how long a push that never came (a proxy that drops them) could mislead.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
pub const DEFAULT_MAX_MEMORY: u64 = 64 << 20;
/// What the near cache held is served for so long while Redis is away.
pub const DEFAULT_OUTAGE_STALE: Duration = Duration::from_secs(30);
/// What is written while Redis is away lives no longer than this.
pub const DEFAULT_OUTAGE_TTL: Duration = Duration::from_secs(60);
pub const DEFAULT_MAX_VALUE: usize = 32 << 20;
/// Below this hardly more than the store's own tables fits.
const LEAST_MEMORY: u64 = 64 << 10;

impl Options {
    pub fn check(given: Given) -> Result<Self, CallError> {
        if !given.namespace.is_empty() && !key::is_namespace(&given.namespace) {
            return Err(CallError::config(
                "namespace must be 1 to 64 characters of A-Z a-z 0-9 _ . - or the empty string for raw keys",
            ));
        }
        let timeout = match given.timeout_ms {
            None => DEFAULT_TIMEOUT,
            Some(ms) if (1.0..=60_000.0).contains(&ms) => Duration::from_micros((ms * 1000.0) as u64),
            Some(_) => return Err(CallError::config("timeoutMs must be a number of milliseconds from 1 to 60,000")),
        };
        let max_memory = given.max_memory.as_deref().map(bytes).transpose()?;
        if given.tls_ca.iter().any(|pem| tls::certificates(pem).is_none()) {
            return Err(CallError::config(
                "tls.ca (HOLDFAST_TLS_CA) holds no certificate in PEM form that can be used",
            ));
        }
        let near_max_memory = given.near_max_memory.as_deref().map(bytes).transpose()?;
        let max_age = match given.near_max_age {
            None => DEFAULT_MAX_AGE,
            Some(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Duration::from_secs_f64(seconds),
            Some(_) => {
                return Err(CallError::config("nearCache.maxAge must be a number of seconds above 0, at most 86,400"));
            }
        };
        let near = given.near.then_some(NearOptions { max_memory: near_max_memory, max_age });
        let seeds = seeds(&given)?;
        let format = format(&given)?;
        let outage_stale = seconds(given.outage_stale, DEFAULT_OUTAGE_STALE, 0.0, "outageStale")?;
        let outage_ttl = seconds(given.outage_ttl, DEFAULT_OUTAGE_TTL, 0.001, "outageTtl")?;
        let namespace = given.namespace;
        let heartbeat = match given.heartbeat {
            None => Habits::default().heartbeat,
            Some(0.0) => None,
            heartbeat => Some(seconds(heartbeat, HEARTBEAT, 0.1, "heartbeat")?),
        };
        let replicas = match given.read_from.as_deref() {
            None | Some("primary") => false,
            Some("replica") if matches!(seeds, Some(Seeds::Sentinels(_))) => {
                let message =
                    "readFrom 'replica' (HOLDFAST_READ_FROM) is for clusters: behind sentinels the primary is read";
                return Err(CallError::config(message));
            }
            Some("replica") if near.is_some() => {
                let message = "readFrom 'replica' (HOLDFAST_READ_FROM) goes without nearCache: \
                    a replica does not tell of changes in time";
                return Err(CallError::config(message));
            }
            Some("replica") if given.lazy == Some(true) => {
                let message = "readFrom 'replica' (HOLDFAST_READ_FROM) goes without lazy: \
                    how far replicas are is asked all the time";
                return Err(CallError::config(message));
            }
            Some("replica") => true,
            Some(_) => return Err(CallError::config("readFrom (HOLDFAST_READ_FROM) must be 'primary' or 'replica'")),
        };
        let (marks, lazy) = (given.marks.unwrap_or(true), given.lazy.unwrap_or(false));
        let habits = Habits { heartbeat, marks, lazy, replicas };
        Ok(Self { seeds, namespace, max_memory, timeout, near, format, outage_stale, outage_ttl, habits })
    }
}

fn seeds(given: &Given) -> Result<Option<Seeds>, CallError> {
    let trust = Trust {
        ca: given.tls_ca.clone(),
        extra_ca: given.tls_extra_ca.clone(),
        insecure: given.tls_insecure,
        servername: given.tls_servername.clone(),
        own: match (&given.tls_cert, &given.tls_key) {
            (None, None) => None,
            (Some(cert), Some(key)) if tls::is_identity(cert, key) => Some((cert.clone(), key.clone())),
            _ => return Err(CallError::config(tls::OWN)),
        },
    };
    let url = given.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let both = |what: &str| Err(CallError::config(format!("url and {what} both say where Redis is: give one of them")));
    let nodes = given.cluster.as_ref().filter(|cluster| !cluster.nodes.is_empty());
    let mut seeds = match (url, &given.sentinel, nodes) {
        (Some(_), Some(_), _) => return both("sentinel"),
        (Some(_), _, Some(_)) => return both("cluster.nodes"),
        (None, None, None) if given.cluster.is_some() => {
            return Err(CallError::config("cluster.nodes must name the nodes of the cluster, where no url does"));
        }
        (None, None, None) => return Ok(None),
        (Some(url), None, None) => Seeds::parse(url, trust)?,
        (None, Some(sentinel), _) => Seeds::Sentinels(Sentinels::check(sentinel, access(given)?, &trust)?),
        (None, None, Some(_)) => Seeds::Server(access(given)?.target(&trust)),
    };
    if let Some(cluster) = &given.cluster {
        seeds = seeds.clustered(cluster)?;
    }
    let target = seeds.server_mut();
    if given.username.is_some() {
        target.user.clone_from(&given.username);
    }
    if given.password.is_some() {
        target.password.clone_from(&given.password);
    }
    Ok(Some(seeds))
}

/// How servers are dialled that no URL names.
fn access(given: &Given) -> Result<GivenAccess, CallError> {
    let database = match given.database {
        None => 0,
        Some(number) if number.fract() == 0.0 && (0.0..=65_535.0).contains(&number) => number as i64,
        Some(_) => return Err(CallError::config("database must be a number from 0 to 65,535")),
    };
    Ok(GivenAccess { database, tls: given.tls, ..GivenAccess::default() })
}

fn seconds(given: Option<f64>, default: Duration, least: f64, name: &str) -> Result<Duration, CallError> {
    match given {
        None => Ok(default),
        Some(seconds) if (least..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Some(_) => Err(CallError::config(format!("{name} must be a number of seconds from {least} to 86,400"))),
    }
}

fn format(given: &Given) -> Result<Format, CallError> {
    let codec = match given.codec.as_deref() {
        None | Some("json") => Codec::Json,
        Some("structured") => Codec::Structured,
        Some("text") => Codec::Text,
        Some("raw") => Codec::Raw,
        Some(_) => return Err(CallError::config("codec must be json, structured, raw or text")),
    };
    let max_bytes = given.max_value_bytes.map_or(DEFAULT_MAX_VALUE, |bytes| bytes as usize);
    Ok(Format { codec, compress_above: given.compress_above.map(|bytes| bytes as usize), max_bytes })
}

/// Reads a size: a number of bytes, or one with `kb`, `mb` or `gb` (powers of 1,024, in any case).
pub fn bytes(text: &str) -> Result<u64, CallError> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].trim() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => f64::NAN,
    };
    let number = digits.trim().parse::<f64>().unwrap_or(f64::NAN) * factor;
    if number >= LEAST_MEMORY as f64 && number <= (1u64 << 46) as f64 {
        Ok(number as u64)
    } else {
        Err(CallError::config("maxMemory must be a size of at least 64kb, such as 67108864 or \"64mb\""))
    }
}
