//! What a read found at a key, judged: a value, one that is to be replaced, or nothing for this caller. And what
//! becomes of the call, or of the computation, that it was for.

use std::sync::Arc;

use redis::Value;

use crate::engine::base::clock::Ttl;
use crate::engine::cache::local;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::call::reply::{Bounce, Reply};
use crate::engine::call::sink::ReplyTo;
use crate::engine::exchange::plan::{Call, Computing, Verdict, Wanted};
use crate::engine::exchange::writes::holder;
use crate::engine::once::lease;
use crate::engine::once::waiters::{Caller, Lease, Outcome, Over};
use crate::engine::value::codec::Room;
use crate::engine::value::entry::{self, Entry};
use crate::engine::value::life::{self, Ask, Life, Stale};
use crate::engine::value::record::Standing;
use crate::engine::value::{codec, tags};

/// What a read found.
pub enum Found {
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
    pub fn miss() -> Self {
        Self::Void(Box::default())
    }
}

/// How stored bytes are looked at.
pub struct Look {
    /// Milliseconds that the key lives, where it was asked.
    pub left: Option<u64>,
    pub ask: Ask,
    /// A fresh value goes to one caller, who finds out whether it is JSON, and nowhere else.
    pub passing: bool,
    /// Milliseconds.
    pub now: u64,
}

/// Judges stored bytes. `token`: of a tag's stored key, where the near cache need not have it.
pub fn judge(
    cache: &Cache,
    bytes: Vec<u8>,
    look: &Look,
    room: &mut Room,
    token: impl Fn(&str) -> Option<Arc<str>>,
) -> Found {
    let Look { left, ask, passing, now } = *look;
    // Somebody computes it.
    if codec::is_marker(&bytes) {
        return Found::miss();
    }
    let identity: Box<[u8]> = entry::identity(&bytes).unwrap_or_default().into();
    let Some(entry) = cache.format.decode(bytes, room, cache.taking(passing, now)) else {
        add(&cache.counters.decode_errors, 1);
        return Found::Void(identity);
    };
    let meta = entry.meta.as_deref();
    if meta.is_some_and(|meta| meta.extra_ms > 0) {
        cache.shared().note_grace();
    }
    let life = life::judge(meta, left, ask, &cache.shared().random);
    let life = match tags::standing(meta, &cache.prefix, |key| cache.token(key, &token, now), now) {
        Standing::Stands => life,
        Standing::Soft(since) => life::softened(life, since, ask),
        Standing::Ended => Life::Over,
    };
    match life {
        Life::Fresh(fresh) => Found::Fresh(entry, left.map_or(0, |_| fresh)),
        Life::Over => Found::Void(identity),
        life => match Stale::new(entry.json.given().keep(), life, now) {
            Some(stale) => Found::Old(Over { stale, identity, tags: tags::names(meta) }),
            None => Found::Void(identity),
        },
    }
}

/// The reply of a `get`.
pub(super) fn get(call: &Call<'_>, found: Found) -> Reply {
    let counters = &call.cache.counters;
    match found {
        Found::NoReply => local::read(call.cache, call.key, call.now).map_or(Reply::Miss, Reply::Value),
        Found::Fresh(entry, _) => {
            add(&counters.hits_redis, 1);
            Reply::Value(entry.json)
        }
        Found::Old(..) | Found::Void(_) => {
            add(&counters.misses_redis, 1);
            Reply::Miss
        }
    }
}

/// A read that its server redirects: it fills nothing, and its computation begins anew where it goes.
pub(super) fn bounced(
    call: &Call<'_>,
    ticket: Option<u64>,
    flight: Option<Computing>,
    bounce: Bounce,
    verdict: &mut Verdict,
) -> Reply {
    if let Some(ticket) = ticket {
        call.server.near.forget(call.key, ticket);
    }
    if let Some(flight) = flight {
        verdict.answers.append(call.cache.shared().flights.end(call.key, flight.token, Outcome::Failed));
    }
    Reply::Bounced(bounce)
}

/// Keeps in the near cache what a read found that was `sent` then, if its placeholder still stands.
pub(super) fn fill(call: &Call<'_>, ticket: u64, found: &Found, sent: u64) {
    let shared = call.cache.shared();
    // What the most patient cache takes; each takes what is young enough for it.
    let most = shared.max_age();
    match found {
        Found::Fresh(entry, left) if *left > 0 => {
            let ttl = Ttl::Millis(most.min(*left));
            call.server.near.fill(call.key, ticket, entry.json.given(), entry.meta.as_deref(), ttl, sent);
        }
        _ => call.server.near.forget(call.key, ticket),
    }
}

/// The reply of a computation's read. `asked`: that of its lease, where it was asked for along with it.
pub(super) fn begin(
    call: &Call<'_>,
    found: Found,
    flight: Computing,
    asked: Option<&Value>,
    verdict: &mut Verdict,
) -> Reply {
    let &Call { cache, to, key, now, .. } = call;
    let Computing { token, ask, lock } = flight;
    let (flights, misses) = (&cache.shared().flights, &cache.shared().misses);
    let holder = holder(cache, token);
    let had = asked.is_some_and(|reply| lease::is_had(reply, holder));
    // Not where the value went between the two, or where a write did away with the computation, or the end of all who
    // wanted it.
    let leads = had && matches!(found, Found::Void(_)) && flights.alive(key, token);
    if had && !leads {
        verdict.behind.push(lease::release(key, holder));
    }
    let (over, void) = match found {
        Found::NoReply => {
            let (reply, answers) = local::finish_read(cache, key, token, to, ask, now);
            verdict.answers.append(answers);
            return reply;
        }
        Found::Fresh(entry, _) => {
            add(&cache.counters.hits_redis, 1);
            misses.hit();
            verdict.answers.append(flights.found(key, token, &entry.json));
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
    add(&cache.counters.misses_redis, 1);
    let wanted = |led, refresh| Wanted { key: key.to_owned(), token, led, refresh, void, asked: call.asked() };
    match lock {
        Some((waiter, many)) if !leads => {
            let to = ReplyTo { sink: to.sink.clone(), id: waiter };
            let refresh = over.is_some();
            let first = Caller { to, window: ask.window, many, codec: cache.format.codec };
            if !flights.hold(key, token, first, over) {
                return Reply::Again;
            }
            verdict.leases.push(wanted(None, refresh));
            Reply::Wait
        }
        _ => {
            let kind = if leads { Lease::Key } else { Lease::None };
            let (reply, led) = local::lead(cache, key, token, to, kind, over, now);
            verdict.answers.append(led.answers);
            match led.given_up {
                Some(given_up) => verdict.leases.push(wanted(Some(given_up), false)),
                // All who wanted it have ended meanwhile.
                None if leads => verdict.behind.push(lease::release(key, holder)),
                None => {}
            }
            reply
        }
    }
}
