//! Commands on strings, and the one on hashes that lets a foreign client leave something else at a key.

use std::collections::BTreeMap;

use crate::server::Id;
use crate::server::Server;
use crate::server::commands::{either, integer, is, syntax};
use crate::server::faults;
use crate::server::inbound::number;
use crate::server::keyspace::{Data, Entry};
use crate::server::reply::{OK, Reply, error};

/// The text at a key, none for no entry; the reply that refuses another type.
fn text(server: &mut Server, id: Id, key: &[u8]) -> Result<Option<Vec<u8>>, Reply> {
    match server.entry(id, key).map(|entry| &entry.data) {
        None => Ok(None),
        Some(Data::Text(text)) => Ok(Some(text.clone())),
        Some(Data::Hash(_)) => Err(error(faults::WRONGTYPE)),
    }
}

pub fn get(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(text(server, id, words[1]).map(|text| text.map_or(Reply::Nil, Reply::Bulk)))
}

pub fn getdel(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    match text(server, id, words[1]) {
        Ok(Some(text)) => {
            let database = server.selected(id);
            server.delete(database, words[1]);
            Reply::Bulk(text)
        }
        found => either(found.map(|_| Reply::Nil)),
    }
}

pub fn mget(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let value = |key: &&[u8]| text(server, id, key).ok().flatten().map_or(Reply::Nil, Reply::Bulk);
    Reply::Array(words[1..].iter().map(value).collect())
}

pub fn strlen(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let length = |text: Vec<u8>| i64::try_from(text.len()).unwrap_or(i64::MAX);
    either(text(server, id, words[1]).map(|text| Reply::Int(text.map_or(0, length))))
}

pub fn getrange(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(range(server, id, words))
}

fn range(server: &mut Server, id: Id, words: &[&[u8]]) -> Result<Reply, Reply> {
    let (start, end) = (integer(words[2])?, integer(words[3])?);
    let text = text(server, id, words[1])?.unwrap_or_default();
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::Bulk(Vec::new()));
    }
    let at = |place: i64| if place < 0 { length.saturating_add(place).max(0) } else { place };
    let (start, end) = (at(start), at(end).min(length - 1));
    let part = match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) => text.get(start..=end).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    Ok(Reply::Bulk(part))
}

/// What stands behind the value in SET.
#[derive(Default)]
struct Options {
    nx: bool,
    xx: bool,
    get: bool,
    keep: bool,
    /// When it goes, in milliseconds of the server's time.
    until: Option<u64>,
}

impl Options {
    fn parse(words: &[&[u8]], now: u64) -> Result<Self, Reply> {
        let mut options = Self::default();
        let mut expiry: Option<(&[u8], bool, bool)> = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let free = expiry.is_none() && !options.keep;
            if is(word, "NX") && !options.xx {
                options.nx = true;
            } else if is(word, "XX") && !options.nx {
                options.xx = true;
            } else if is(word, "GET") {
                options.get = true;
            } else if is(word, "KEEPTTL") && expiry.is_none() {
                options.keep = true;
            } else if let Some((seconds, at)) = unit(word).filter(|_| free) {
                expiry = Some((words.next().ok_or_else(syntax)?, seconds, at));
            } else {
                return Err(syntax());
            }
        }
        if let Some((time, seconds, at)) = expiry {
            let invalid = || error("ERR invalid expire time in 'set' command");
            let time = integer(time)?;
            let time = if seconds { time.checked_mul(1000) } else { Some(time) };
            let time = time.filter(|time| *time > 0).ok_or_else(invalid)?;
            let base = if at { 0 } else { i64::try_from(now).unwrap_or(i64::MAX) };
            options.until = Some(time.checked_add(base).and_then(|at| u64::try_from(at).ok()).ok_or_else(invalid)?);
        }
        Ok(options)
    }
}

/// Whether an option is an expiry in seconds, and whether it is a time of day.
fn unit(word: &[u8]) -> Option<(bool, bool)> {
    let units = [("EX", true, false), ("PX", false, false), ("EXAT", true, true), ("PXAT", false, true)];
    units.iter().find(|(name, ..)| is(word, name)).map(|(_, seconds, at)| (*seconds, *at))
}

pub fn set(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(set_with(server, id, words))
}

fn set_with(server: &mut Server, id: Id, words: &[&[u8]]) -> Result<Reply, Reply> {
    let (key, value) = (words[1], words[2]);
    let options = Options::parse(&words[3..], server.now)?;
    let old = if options.get { text(server, id, key)?.map_or(Reply::Nil, Reply::Bulk) } else { OK };
    let until = server.entry(id, key).map(|entry| entry.until);
    if options.nx && until.is_some() || options.xx && until.is_none() {
        return Ok(if options.get { old } else { Reply::Nil });
    }
    let until = options.until.or_else(|| until.flatten().filter(|_| options.keep));
    server.put(id, key, Entry::text(value, until));
    Ok(old)
}

pub fn incrby(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(increment(server, id, words))
}

fn increment(server: &mut Server, id: Id, words: &[&[u8]]) -> Result<Reply, Reply> {
    let (key, amount) = (words[1], integer(words[2])?);
    let value = match text(server, id, key)? {
        Some(text) => number(&text).ok_or_else(|| error(faults::NO_INTEGER))?,
        None => 0,
    };
    let sum = value.checked_add(amount).ok_or_else(|| error("ERR increment or decrement would overflow"))?;
    let until = server.entry(id, key).and_then(|entry| entry.until);
    server.put(id, key, Entry::text(sum.to_string().as_bytes(), until));
    Ok(Reply::Int(sum))
}

pub fn hset(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    if words.len() & 1 == 1 {
        return error("ERR wrong number of arguments for 'hset' command");
    }
    let (mut fields, until) = match server.entry(id, words[1]) {
        None => (BTreeMap::new(), None),
        Some(Entry { data: Data::Hash(fields), until }) => (fields.clone(), *until),
        Some(_) => return error(faults::WRONGTYPE),
    };
    let mut added = 0;
    for pair in words[2..].chunks(2) {
        added += i64::from(fields.insert(pair[0].to_vec(), pair[1].to_vec()).is_none());
    }
    server.put(id, words[1], Entry { data: Data::Hash(fields), until });
    Reply::Int(added)
}
