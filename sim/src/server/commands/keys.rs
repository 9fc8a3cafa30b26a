//! Commands on keys of any type: deletes, times to live, SCAN.

use holdfast::engine::base::glob;

use crate::server::Id;
use crate::server::Server;
use crate::server::commands::{either, integer, is, syntax};
use crate::server::inbound::number;
use crate::server::keyspace::{Data, Entry};
use crate::server::reply::{Reply, error};

/// DEL, and UNLINK, which differs only in when memory is given back.
pub fn del(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let database = server.selected(id);
    let mut count = 0;
    for key in &words[1..] {
        // What is due goes first, and does not count.
        server.expire(database, key);
        count += i64::from(server.delete(database, key));
    }
    Reply::Int(count)
}

pub fn exists(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    Reply::Int(words[1..].iter().map(|key| i64::from(server.entry(id, key).is_some())).sum())
}

/// Milliseconds left; -1 for ever, -2 for nothing there.
fn left(server: &mut Server, id: Id, key: &[u8]) -> i64 {
    let now = server.now;
    match server.entry(id, key).map(|entry| entry.until) {
        None => -2,
        Some(None) => -1,
        Some(Some(until)) => i64::try_from(until.saturating_sub(now)).unwrap_or(i64::MAX),
    }
}

pub fn pttl(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    Reply::Int(left(server, id, words[1]))
}

pub fn ttl(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let left = left(server, id, words[1]);
    Reply::Int(if left < 0 { left } else { left.saturating_add(500) / 1000 })
}

pub fn persist(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let had = server.entry(id, words[1]).is_some_and(|entry| entry.until.take().is_some());
    if had {
        server.changed(words[1]);
    }
    Reply::Int(i64::from(had))
}

pub fn pexpire(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let now = server.now;
    either(expire_at(server, id, words, 1, now, "pexpire"))
}

pub fn expire(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let now = server.now;
    either(expire_at(server, id, words, 1000, now, "expire"))
}

pub fn pexpireat(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(expire_at(server, id, words, 1, 0, "pexpireat"))
}

pub fn expireat(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(expire_at(server, id, words, 1000, 0, "expireat"))
}

/// `unit`: milliseconds of one of the time given, which counts from `base`.
fn expire_at(server: &mut Server, id: Id, words: &[&[u8]], unit: i64, base: u64, name: &str) -> Result<Reply, Reply> {
    let [mut nx, mut xx, mut gt, mut lt] = [false; 4];
    for word in &words[3..] {
        match () {
            () if is(word, "NX") => nx = true,
            () if is(word, "XX") => xx = true,
            () if is(word, "GT") => gt = true,
            () if is(word, "LT") => lt = true,
            () => return Err(error(format!("ERR Unsupported option {}", String::from_utf8_lossy(word)))),
        }
    }
    if nx && (xx || gt || lt) {
        return Err(error("ERR NX and XX, GT or LT options at the same time are not compatible"));
    }
    if gt && lt {
        return Err(error("ERR GT and LT options at the same time are not compatible"));
    }
    let time = integer(words[2])?.checked_mul(unit);
    let time = time.and_then(|time| time.checked_add(i64::try_from(base).unwrap_or(i64::MAX)));
    let time = time.ok_or_else(|| error(format!("ERR invalid expire time in '{name}' command")))?;
    let now = i64::try_from(server.now).unwrap_or(i64::MAX);
    let (key, database) = (words[1], server.selected(id));
    let Some(entry) = server.entry(id, key) else { return Ok(Reply::Int(0)) };
    let until = entry.until.map(|until| i64::try_from(until).unwrap_or(i64::MAX));
    let refused = nx && until.is_some()
        || xx && until.is_none()
        || gt && until.is_none_or(|until| time <= until)
        || lt && until.is_some_and(|until| time >= until);
    if refused {
        return Ok(Reply::Int(0));
    }
    if time <= now {
        server.delete(database, key);
    } else {
        entry.until = u64::try_from(time).ok();
        server.changed(key);
    }
    Ok(Reply::Int(1))
}

/// What SCAN looks for.
struct Wanted<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Wanted<'a> {
    fn parse(words: &[&'a [u8]]) -> Result<Self, Reply> {
        let mut wanted = Self { pattern: None, kind: None, count: 10 };
        for option in words.chunks(2) {
            let [name, value] = option else { return Err(syntax()) };
            if is(name, "COUNT") {
                let count = integer(value)?;
                wanted.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(syntax)?;
            } else if is(name, "MATCH") {
                wanted.pattern = Some(value);
            } else if is(name, "TYPE") {
                wanted.kind = Some(value);
            } else {
                return Err(syntax());
            }
        }
        Ok(wanted)
    }

    fn takes(&self, key: &[u8], entry: &Entry) -> bool {
        let kind = match entry.data {
            Data::Text(_) => "string",
            Data::Hash(_) => "hash",
        };
        self.kind.is_none_or(|wanted| is(wanted, kind))
            && self.pattern.is_none_or(|pattern| glob::matches(pattern, key))
    }
}

pub fn scan(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(step(server, id, words))
}

fn step(server: &mut Server, id: Id, words: &[&[u8]]) -> Result<Reply, Reply> {
    let cursor = number(words[1]).and_then(|cursor| u64::try_from(cursor).ok());
    let cursor = cursor.ok_or_else(|| error("ERR invalid cursor"))?;
    let wanted = Wanted::parse(&words[2..])?;
    let (next, mut keys) = server.walk(id, cursor, wanted.count);
    let database = server.selected(id);
    keys.retain(|key| {
        let takes = server.database(database).entries.get(key).is_some_and(|entry| wanted.takes(key, entry));
        // What is due and matches goes now.
        takes && !server.expire(database, key)
    });
    let keys = keys.into_iter().map(Reply::Bulk).collect();
    Ok(Reply::Array(vec![Reply::text(&next.to_string()), Reply::Array(keys)]))
}
