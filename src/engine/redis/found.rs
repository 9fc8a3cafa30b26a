//! What a read found at a key, judged: a value, one that is to be replaced, or nothing for this caller. And what becomes of the computation that it was for.

use std::sync::Arc;

use redis::Value;

use super::ahead::is_had;
use super::plan::Flight;
use super::reply::integer;
use super::settle::{Reader, Wanted};
use super::writes::holder;
use crate::engine::batch::{Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::entry::{self, Entry};
use crate::engine::lease;
use crate::engine::life::{self, Ask, Life, Stale};
use crate::engine::local;
use crate::engine::room::Room;
use crate::engine::stats::add;
use crate::engine::tags;
use crate::engine::waiters::{Caller, Lease, Over};

/// What a read found.
pub(super) enum Found {
    /// Redis did not say.
    NoReply,
    /// A value, fresh for so many milliseconds; 0 where that is not known.
    Fresh(Entry, u64),
    /// A value that is to be replaced, and is of use meanwhile.
    Old(Over),
    /// Nothing for this caller. The bytes with which begins what lies there, if an entry does.
    Void(Box<[u8]>),
}

impl Found {
    pub(super) fn miss() -> Self {
        Self::Void(Box::default())
    }
}

/// Judges stored bytes. `token`: of a tag's stored key, where the near cache need not have it.
pub(super) fn judge(
    cache: &Cache,
    bytes: Vec<u8>,
    left: Option<u64>,
    ask: Ask,
    token: impl Fn(&str) -> Option<Arc<str>>,
    now: u64,
    room: &mut Room,
) -> Found {
    // Somebody computes it.
    if lease::is_marker(&bytes) {
        return Found::miss();
    }
    let identity: Box<[u8]> = entry::identity(&bytes).unwrap_or_default().into();
    let Some(entry) = cache.format.decode(bytes, room) else {
        add(&cache.counters.decode_errors, 1);
        return Found::Void(identity);
    };
    let meta = entry.meta.as_deref();
    if meta.is_some_and(|meta| meta.extra_ms > 0) {
        cache.shared().note_grace();
    }
    if !tags::valid(meta, &cache.prefix, |key| token(key).or_else(|| tags::near_token(cache, key, now))) {
        return Found::Void(identity);
    }
    match life::judge(meta, left, ask) {
        Life::Fresh(fresh) => Found::Fresh(entry, left.map_or(0, |_| fresh)),
        Life::Over => Found::Void(identity),
        life => match Stale::new(entry.json.share(), life, now) {
            Some(stale) => Found::Old(Over { stale, identity }),
            None => Found::Void(identity),
        },
    }
}

/// PTTL's reply as the milliseconds left; none where there is no such key.
pub(super) fn left(value: Value) -> Option<u64> {
    match integer(value).ok()? {
        -1 => Some(u64::MAX),
        ms => u64::try_from(ms).ok(),
    }
}

impl Reader {
    /// The reply of a computation's read. `asked`: that of its lease, where it was asked for along with it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one call; a struct of them would live for this one call"
    )]
    pub(super) fn begin(
        &mut self,
        cache: &Cache,
        key: &str,
        found: Found,
        flight: Flight,
        asked: Option<&Value>,
        to: &ReplyTo,
        now: u64,
    ) -> Reply {
        let Flight { token, ask, lock } = flight;
        let (flights, misses) = (&cache.shared().flights, &cache.shared().misses);
        let had = asked.is_some_and(|reply| is_had(reply, holder(cache, token)));
        // Not where the value went between the two, or where a write did away with the computation, or the end of all
        // who wanted it.
        let leads = had && matches!(found, Found::Void(_)) && flights.alive(key, token);
        if had && !leads {
            self.verdict.behind.push(lease::release(key, holder(cache, token)));
        }
        let (over, void) = match found {
            Found::NoReply => return self.then(local::finish_read(cache, key, token, to, ask, now)),
            Found::Fresh(entry, _) => {
                add(&cache.counters.hits_redis, 1);
                misses.hit();
                self.verdict.answers.append(flights.found(key, token, &entry.json));
                return Reply::Hit(entry.json);
            }
            Found::Old(over) => {
                let identity = over.identity.clone();
                (Some(over), identity)
            }
            Found::Void(identity) => {
                misses.missed();
                (None, identity)
            }
        };
        add(&cache.counters.misses, 1);
        match lock {
            Some((waiter, many)) if !leads => {
                let to = ReplyTo { sink: to.sink.clone(), id: waiter };
                let refresh = over.is_some();
                let first = Caller { to, window: ask.window, many, codec: cache.format.codec };
                if !flights.hold(key, token, first, over) {
                    return Reply::Again;
                }
                self.verdict.leases.push(Wanted { key: key.to_owned(), token, led: None, refresh, void });
                Reply::Wait
            }
            _ => {
                let lease = if leads { Lease::Key } else { Lease::None };
                let (reply, led) = local::lead(cache, key, token, to, lease, over, now);
                self.verdict.answers.append(led.answers);
                match led.given_up {
                    Some(led) => {
                        let led = Some(led);
                        self.verdict.leases.push(Wanted { key: key.to_owned(), token, led, refresh: false, void });
                    }
                    // All who wanted it have ended meanwhile.
                    None if leads => self.verdict.behind.push(lease::release(key, holder(cache, token))),
                    None => {}
                }
                reply
            }
        }
    }
}
