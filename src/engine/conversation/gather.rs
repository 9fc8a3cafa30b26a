//! The tokens of tags that lie on other servers: on a cluster, each tag's token is a key of a slot of its own.
//!
//! Behind reads they are asked for where they lie ([`tokens`]). What is to be stored under them has them asked for in
//! front of it, by the router, which keeps the order of the calls on each server: an invalidation that was called
//! later must not come in between ([`awaited`]).
//!
//! A server that is away, or slow, holds up nobody for long: the tags of its tokens stay unknown, and an entry with
//! such a tag is a miss.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::join_all;

use crate::engine::cache::job::Awaited;
use crate::engine::cache::namespace::Cache;
use crate::engine::exchange::tokens::{self, Heard};
use crate::engine::fleet::server::{InUse, Server};
use crate::engine::net::denied::Denied;
use crate::engine::net::wire::Wire;
use crate::engine::task::timers::Timers;
use crate::engine::value::tags::Tokens;

/// What is asked for: the stored keys of tokens that are not known, and the tokens that are.
type Wanted = (Vec<String>, Tokens);

/// Those that come within `patience`.
pub async fn awaited(Awaited { mut known, coming }: Awaited, timers: Timers, patience: Duration) -> Tokens {
    let all = join_all(coming.into_iter().map(|coming| timers.within(patience, coming))).await;
    known.extend(all.into_iter().flatten().flatten().flatten());
    known
}

/// The tokens that can be had within `patience`.
pub async fn tokens(cache: Arc<Cache>, wanted: Wanted, timers: Timers, patience: Duration) -> Tokens {
    let (keys, mut known) = wanted;
    let asked = by_server(&cache, keys).map(|(server, keys)| of_one(cache.clone(), server, keys));
    let all = join_all(asked.map(|asked| timers.within(patience, asked))).await;
    known.extend(all.into_iter().flatten().flatten().flatten());
    known
}

/// Stored keys by the servers that they lie on.
pub fn by_server(cache: &Cache, keys: Vec<String>) -> impl Iterator<Item = (Arc<Server>, Vec<String>)> + use<> {
    let mut groups: BTreeMap<u16, (Arc<Server>, Vec<String>)> = BTreeMap::new();
    for key in keys {
        let server = cache.shared().server(&key);
        groups.entry(server.place).or_insert_with(|| (server.clone(), Vec::new())).1.push(key);
    }
    groups.into_values()
}

/// Those of one server; none where it is away.
async fn of_one(cache: Arc<Cache>, server: Arc<Server>, keys: Vec<String>) -> Option<Tokens> {
    let InUse { wire, denied, tasks } = server.in_use.lock().clone()?;
    let (done, tokens) = oneshot::channel();
    let _task = tasks.spawn_for(async move {
        let _ = done.send(ask(&cache, &server, &wire, denied, keys).await);
    });
    tokens.await.ok()?
}

async fn ask(cache: &Cache, server: &Arc<Server>, wire: &Wire, denied: Denied, keys: Vec<String>) -> Option<Tokens> {
    let now = || wire.timers().now_ms();
    let (mut pipeline, mut asked) = tokens::ask(server, cache, (keys, Tokens::new()), false, denied, now());
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
