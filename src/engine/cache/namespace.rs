//! A cache: a namespace on an engine, and how its entries are kept.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::cache::options::{DEFAULT_MAX_AGE, Options};
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::counters::Counters;
use crate::engine::cache::tell::status::Mode;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::server::Server;
use crate::engine::tier::budget::Noted;
use crate::engine::value::entry::{Format, Meta};
use crate::engine::value::tags;

/// After a value that was no JSON, each is checked for so long before it is passed on: where there is one, others are.
const WARY_MS: u64 = 60_000;

pub struct Cache {
    shared: Arc<Shared>,
    /// Whether there is a Redis behind it.
    pub has_redis: bool,
    /// Keeps the connection while work of this cache is under way.
    _engine: Arc<dyn Any + Send + Sync>,
    pub prefix: Prefix,
    pub counters: Counters,
    pub timeout: Duration,
    /// Whether the near cache keeps what this cache reads.
    pub near: bool,
    /// The oldest that this cache takes from it, in milliseconds, whichever cache had it put there: values, and tokens
    /// of tags even where it keeps no values.
    pub max_age: u64,
    pub format: Format,
    /// How long what the near cache held is served while Redis is away.
    pub outage_stale: Duration,
    /// How long what is written then lives at most.
    pub outage_ttl: Duration,
    /// Until when each value is checked before it is passed on.
    wary_until: AtomicU64,
}

impl Cache {
    /// `engine`: what keeps the connection of `shared`.
    pub fn new(shared: Arc<Shared>, engine: Arc<dyn Any + Send + Sync>, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            shared,
            has_redis: options.seeds.is_some(),
            _engine: engine,
            prefix: Prefix::new(&options.namespace),
            counters: Counters::default(),
            timeout: options.timeout,
            near: options.near.is_some(),
            max_age: millis(options.near.map_or(DEFAULT_MAX_AGE, |near| near.max_age)),
            format: options.format,
            outage_stale: options.outage_stale,
            outage_ttl: options.outage_ttl,
            wary_until: AtomicU64::new(0),
        })
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How the text of a value is taken that is only passed on, or that is kept as well.
    pub fn taking(&self, passing: bool, now: u64) -> fn(Vec<u8>) -> Option<Json> {
        let trusts = passing && now >= self.wary_until.load(Relaxed);
        if trusts { Json::passing } else { Json::checked }
    }

    /// So many values were passed on and counted as hits, and their caller found them to be no JSON.
    pub fn misread(&self, values: u64) {
        self.wary_until.store(self.shared.clock.now_ms() + WARY_MS, Relaxed);
        self.counters.misread(values);
    }

    /// The token of a tag that the near cache vouches for, as far as this cache takes it.
    pub fn near_token(&self, key: &str, now: u64) -> Option<Arc<str>> {
        self.shared.server(key).near.get(key, self.max_age, now)?.value.json()
    }

    /// The token of a tag: among those that were asked for, or in the near cache. None where the server refused to
    /// remove it, which a reply behind those may have told.
    pub fn token(&self, key: &str, asked: impl Fn(&str) -> Option<Arc<str>>, now: u64) -> Option<Arc<str>> {
        let held = self.shared.server(key).journal.holds(key);
        if held { None } else { asked(key).or_else(|| self.near_token(key, now)) }
    }

    /// Whether an entry's tags are what they were, as far as the near cache knows.
    pub fn is_valid(&self, meta: Option<&Meta>, now: u64) -> bool {
        tags::valid(meta, &self.prefix, |key| self.near_token(key, now))
    }

    /// What Redis has at a stored key is not to be trusted once it is back.
    pub fn journal(&self, key: &str) {
        if self.has_redis {
            let server = self.shared.server(key);
            server.near.own_write(key);
            // Another server of a cluster is in use already, and no recovery will undo it there.
            let noted = if self.shared.fleet.cluster().is_some() && !server.is_local() {
                server.journal.owe(key)
            } else {
                server.journal.note(&self.prefix, key)
            };
            self.noted(noted);
        }
    }

    /// Nor what it has at keys that match.
    pub fn journal_pattern(&self, pattern: &Pattern, parked: bool, only: Option<u16>) {
        if self.has_redis {
            // Of a cluster's servers none is that of the URL, whose journal nobody replays.
            let fleet = &self.shared.fleet;
            let is_one = |server: &Server| server.place > 0 || fleet.cluster().is_none();
            let is_meant = |server: &&Arc<Server>| only.map_or(is_one(server), |place| server.place == place);
            for server in self.shared.fleet.servers().filter(is_meant) {
                self.noted(server.journal.note_pattern(&self.prefix, pattern.clone(), parked));
            }
        }
    }

    /// Tells that the journal is full, where it was.
    pub fn noted(&self, noted: Noted) {
        if noted != Noted::Kept {
            self.shared().errors.count(Kind::Journal);
        }
        if noted == Noted::FirstLost {
            let message = "the journal of this outage is full, and a cache without a namespace cannot be cleared: older values of keys written or deleted from here on may be read again";
            self.shared().status.tell_error(&Trouble::new(Kind::Journal, message));
        }
    }

    /// The TTL that an entry gets on the in-process tier: while Redis is away it is no longer than `outage_ttl`.
    pub fn local_ttl(&self, ttl: Ttl) -> Ttl {
        let most = millis(self.outage_ttl);
        match ttl {
            ttl if !self.has_redis => ttl,
            Ttl::Millis(ms) => Ttl::Millis(ms.min(most)),
            Ttl::Forever => Ttl::Millis(most),
        }
    }

    /// `health()`, as JSON.
    pub fn health(&self, mode: Mode, production: bool) -> String {
        let mut health = self.shared().status.health();
        // Redis is there, and this namespace is not for this user.
        let denied = mode == Mode::Redis && self.shared().status.denies_keys(self.prefix.as_str());
        let nodes = self.shared.fleet.nodes(self.shared.clock.now_ms());
        let lame = self.shared.fleet.cluster().is_some_and(Cluster::is_lame);
        let degraded = if self.has_redis { mode == Mode::Memory || denied || lame } else { production };
        if let Some(nodes) = nodes {
            health["nodes"] = Value::from(nodes);
        }
        if !self.has_redis {
            health["breaker"] = Value::from("closed");
        }
        health["status"] = Value::from(if degraded { "degraded" } else { "ok" });
        health["journal"] = Value::from(self.shared.fleet.servers().map(|server| server.journal.len()).sum::<usize>());
        let usage = self.shared().usage();
        health["memory"] = json!({ "entries": usage.entries, "bytes": usage.bytes, "maxBytes": usage.max_bytes });
        health["inFlight"] = Value::from(self.shared().in_flight() + self.shared().long());
        health.to_string()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
