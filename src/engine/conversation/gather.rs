//! Asks for the tokens of tags where they lie: on a cluster, each tag's token is a key of a slot of its own.
//!
//! A server that is away, or slow, holds up nobody for long: the tags of its tokens stay unknown, and an entry with
//! such a tag is a miss.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::join_all;

use crate::engine::cache::namespace::Cache;
use crate::engine::exchange::tokens::{self, Heard};
use crate::engine::fleet::server::{InUse, Server};
use crate::engine::net::denied::Denied;
use crate::engine::net::wire::Wire;
use crate::engine::task::timers::Timers;
use crate::engine::value::tags::Tokens;

/// What is asked for: the stored keys of tokens that are not known, and the tokens that are.
type Wanted = (Vec<String>, Tokens);

/// The tokens that can be had within `patience`. `make`: those that there are not are made.
pub async fn tokens(cache: Arc<Cache>, wanted: Wanted, make: bool, timers: &Timers, patience: Duration) -> Tokens {
    let (keys, mut known) = wanted;
    let mut groups: BTreeMap<u16, (Arc<Server>, Vec<String>)> = BTreeMap::new();
    for key in keys {
        let server = cache.shared().server(&key);
        groups.entry(server.place).or_insert_with(|| (server.clone(), Vec::new())).1.push(key);
    }
    let asked = groups.into_values().map(|(server, keys)| of_one(cache.clone(), server, keys, make));
    let all = join_all(asked.map(|asked| timers.within(patience, asked))).await;
    known.extend(all.into_iter().flatten().flatten().flatten());
    known
}

/// Those of one server; none where it is away.
async fn of_one(cache: Arc<Cache>, server: Arc<Server>, keys: Vec<String>, make: bool) -> Option<Tokens> {
    let InUse { wire, denied, tasks } = server.in_use.lock().clone()?;
    let (done, tokens) = oneshot::channel();
    let _task = tasks.spawn_for(async move {
        let _ = done.send(ask(&cache, &server, &wire, denied, keys, make).await);
    });
    tokens.await.ok()?
}

async fn ask(
    cache: &Cache,
    server: &Arc<Server>,
    wire: &Wire,
    denied: Denied,
    keys: Vec<String>,
    make: bool,
) -> Option<Tokens> {
    let now = || wire.timers().now_ms();
    let (mut pipeline, mut asked) = tokens::ask(server, cache, (keys, Tokens::new()), make, denied, now());
    loop {
        let values = wire.request(pipeline).await.ok()?;
        let (heard, renewals) = asked.heard(cache, server, values, now()).ok()?;
        if !renewals.is_empty() {
            // Nobody waits for them.
            drop(wire.request(renewals));
        }
        match heard {
            Heard::All(tokens) => return Some(tokens),
            Heard::More(more, rest) => (pipeline, asked) = (more, *rest),
        }
    }
}
