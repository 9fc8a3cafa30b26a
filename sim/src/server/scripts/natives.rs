//! What each known script does, line by line as its Lua text says it.

use crate::server::inbound::number;
use crate::server::reply::Reply;
use crate::server::scripts::Running;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    // Of src/engine/once/lease.rs.
    Acquire,
    Store,
    Renew,
    Replace,
    Take,
    Try,
    /// Of src/engine/exchange/expiry.rs.
    Expire,
    ExpireSame,
    /// Of src/engine/exchange/tokens.rs.
    EndTag,
    /// Of src/engine/exchange/writes.rs.
    TakeBack,
    /// The checker's.
    Found,
    /// `return 1`.
    One,
}

type Outcome = Result<Reply, String>;

pub fn run(native: Native, lua: &mut Running<'_>) -> Outcome {
    match native {
        Native::Acquire => acquire(lua),
        Native::Store => store(lua),
        Native::Renew => renew(lua),
        Native::Replace => replace(lua),
        Native::Take => take(lua),
        Native::Try => attempt(lua),
        Native::Expire => expire(lua),
        Native::ExpireSame => expire_same(lua),
        Native::EndTag => end_tag(lua),
        Native::TakeBack => take_back(lua),
        Native::Found => found(lua),
        Native::One => Ok(Reply::Int(1)),
    }
}

impl Running<'_> {
    fn get(&mut self, key: &[u8]) -> Outcome {
        self.call(&[b"GET", key])
    }

    /// `redis.call('GET', key) == text`.
    fn holds(&mut self, key: &[u8], text: &[u8]) -> Result<bool, String> {
        Ok(matches!(self.get(key)?, Reply::Bulk(bytes) if bytes == text))
    }

    /// Sets for so many milliseconds, for ever with `0`.
    fn set(&mut self, key: &[u8], value: &[u8], ms: &[u8]) -> Outcome {
        if ms == b"0" { self.call(&[b"SET", key, value]) } else { self.call(&[b"SET", key, value, b"PX", ms]) }
    }

    /// `redis.call('GETRANGE', key, 0, #text - 1) == text`.
    fn begins(&mut self, key: &[u8], text: &[u8]) -> Result<bool, String> {
        let last = i64::try_from(text.len()).unwrap_or(i64::MAX) - 1;
        let part = self.call(&[b"GETRANGE", key, b"0", last.to_string().as_bytes()])?;
        Ok(matches!(part, Reply::Bulk(bytes) if bytes == text))
    }
}

fn acquire(lua: &mut Running<'_>) -> Outcome {
    let (key, marker, ms, void) = (lua.key(1), lua.arg(1), lua.arg(2), lua.arg(3));
    let there = lua.get(&key)?;
    let nothing = match &there {
        Reply::Bulk(bytes) => !void.is_empty() && bytes.starts_with(&void),
        _ => true,
    };
    if nothing {
        lua.call(&[b"SET", &key, &marker, b"PX", &ms])?;
        let ms = number(&ms).unwrap_or(0);
        return Ok(Reply::Array(vec![Reply::Bulk(marker), Reply::Int(ms)]));
    }
    Ok(Reply::Array(vec![there, lua.call(&[b"PTTL", &key])?]))
}

fn store(lua: &mut Running<'_>) -> Outcome {
    let (key, marker, value, ms) = (lua.key(1), lua.arg(1), lua.arg(2), lua.arg(3));
    if !lua.holds(&key, &marker)? {
        return Ok(Reply::Int(0));
    }
    lua.set(&key, &value, &ms)?;
    Ok(Reply::Int(1))
}

fn renew(lua: &mut Running<'_>) -> Outcome {
    let (key, marker, ms) = (lua.key(1), lua.arg(1), lua.arg(2));
    if !lua.holds(&key, &marker)? {
        return Ok(Reply::Int(0));
    }
    if ms == b"0" {
        lua.call(&[b"DEL", &key])?
    } else {
        lua.call(&[b"PEXPIRE", &key, &ms])?
    };
    Ok(Reply::Int(1))
}

fn replace(lua: &mut Running<'_>) -> Outcome {
    let (key, lock) = (lua.key(1), lua.key(2));
    let (identity, value, ms, marker) = (lua.arg(1), lua.arg(2), lua.arg(3), lua.arg(4));
    if lua.holds(&lock, &marker)? {
        lua.call(&[b"DEL", &lock])?;
    }
    if !lua.begins(&key, &identity)? {
        return Ok(Reply::Int(0));
    }
    lua.set(&key, &value, &ms)?;
    Ok(Reply::Int(1))
}

fn take(lua: &mut Running<'_>) -> Outcome {
    let (key, lock, identity, marker, ms) = (lua.key(1), lua.key(2), lua.arg(1), lua.arg(2), lua.arg(3));
    if !identity.is_empty() && !lua.begins(&key, &identity)? {
        return Ok(Reply::Int(-1));
    }
    let taken = lua.call(&[b"SET", &lock, &marker, b"NX", b"PX", &ms])?;
    Ok(Reply::Int(i64::from(taken != Reply::Nil)))
}

/// Whether scripts may call what they call, at a key where nothing lies.
fn attempt(lua: &mut Running<'_>) -> Outcome {
    let key = lua.key(1);
    lua.get(&key)?;
    lua.call(&[b"GETRANGE", &key, b"0", b"0"])?;
    lua.call(&[b"PTTL", &key])?;
    lua.call(&[b"SET", &key, b"", b"XX", b"PX", b"1"])?;
    lua.call(&[b"PEXPIRE", &key, b"1"])?;
    lua.call(&[b"DEL", &key])?;
    Ok(Reply::Int(1))
}

fn take_back(lua: &mut Running<'_>) -> Outcome {
    let (key, amount) = (lua.key(1), lua.arg(1));
    // Beyond what a double holds exactly, as the script compares it.
    let unsafe_sum = |n: f64| n.abs() > 9_007_199_254_740_991.0;
    let sum = match lua.get(&key)? {
        Reply::Bulk(text) => String::from_utf8_lossy(&text).trim().parse::<f64>().ok(),
        _ => None,
    };
    if sum.is_some_and(unsafe_sum) { lua.call(&[b"INCRBY", &key, &amount]) } else { Ok(Reply::Nil) }
}

fn found(lua: &mut Running<'_>) -> Outcome {
    let key = lua.key(1);
    let value = lua.get(&key)?;
    Ok(Reply::Array(vec![value, lua.call(&[b"PTTL", &key])?]))
}

fn expire(lua: &mut Running<'_>) -> Outcome {
    let (key, ms, tag, longest) = (lua.key(1), lua.arg(1), lua.arg(2), lua.arg(3));
    let left = match lua.call(&[b"PTTL", &key])? {
        Reply::Int(left) => left,
        _ => -2,
    };
    if left == -2 {
        return Ok(Reply::Int(0));
    }
    let longest = number(&longest).and_then(|longest| usize::try_from(longest).ok()).unwrap_or(0);
    let mut most = 4096;
    let mut extra = extra_of(lua, &key, &tag, most);
    while extra == Extra::Cut && most < longest {
        most *= 16;
        extra = extra_of(lua, &key, &tag, most);
    }
    let Extra::Millis(more) = extra else { return Ok(Reply::Int(0)) };
    if left != -1 && more > 0.0 && left as f64 <= more {
        return Ok(Reply::Int(0));
    }
    if ms == b"0" {
        lua.call(&[b"PERSIST", &key])?;
    } else {
        let all = number(&ms).unwrap_or(0) as f64 + more;
        lua.call(&[b"PEXPIRE", &key, format!("{all:.0}").as_bytes()])?;
    }
    Ok(Reply::Int(1))
}

fn expire_same(lua: &mut Running<'_>) -> Outcome {
    let (key, head, ms) = (lua.key(1), lua.arg(1), lua.arg(2));
    if !lua.begins(&key, &head)? {
        return Ok(Reply::Int(0));
    }
    if ms == b"0" {
        lua.call(&[b"PERSIST", &key])?;
    } else {
        lua.call(&[b"PEXPIRE", &key, &ms])?;
    }
    Ok(Reply::Int(1))
}

/// A tag's record without what stands behind its token.
fn current(record: &[u8]) -> Vec<u8> {
    match record.iter().position(|byte| *byte == b'@') {
        Some(at) => [&record[..at], b"\""].concat(),
        None => record.to_vec(),
    }
}

/// The simulation ends tags for good alone: old tokens are the real server's to try.
fn end_tag(lua: &mut Running<'_>) -> Outcome {
    let (key, token, stale, ms) = (lua.key(1), lua.arg(1), lua.arg(2), lua.arg(3));
    if stale != b"0" {
        return Err("ERR the model of the server knows no soft ends".to_owned());
    }
    let old = lua.get(&key)?;
    lua.call(&[b"PTTL", &key])?;
    let time = lua.server.now.to_string();
    let record = [b"\"", &token[..], b"@", time.as_bytes(), b"\""].concat();
    if lua.call(&[b"SET", &key, &record, b"PX", &ms]).is_err() {
        lua.call(&[b"DEL", &key])?;
    }
    Ok(Reply::Int(i64::from(old != Reply::Nil)))
}

/// How long an entry is kept beyond its TTL.
#[derive(PartialEq)]
enum Extra {
    Millis(f64),
    /// It is nothing to a caller.
    Void,
    /// Its header is longer than what was read of it.
    Cut,
}

/// The script's `extra`; numbers are doubles there.
fn extra_of(lua: &mut Running<'_>, key: &[u8], tag: &[u8], most: usize) -> Extra {
    let last = (most - 1).to_string();
    let Ok(Reply::Bulk(v)) = lua.call(&[b"GETRANGE", key, b"0", last.as_bytes()]) else { return Extra::Millis(0.0) };
    let byte = |at: usize| v.get(at).copied();
    match byte(0) {
        Some(254) => return Extra::Void,
        Some(255) => {}
        _ => return Extra::Millis(0.0),
    }
    let (Some(1), Some(0..=3), Some(flags @ 0..=7)) = (byte(1), byte(2), byte(3)) else { return Extra::Void };
    let cut = if v.len() < most { Extra::Void } else { Extra::Cut };
    let mut at = 4;
    let number = |bytes: usize, at: &mut usize| {
        let from = *at;
        *at += bytes;
        (from..*at).rev().fold(0.0, |n, at| n * 256.0 + f64::from(byte(at).unwrap_or(0)))
    };
    let mut more = 0.0;
    if flags & 2 != 0 {
        number(8, &mut at);
        more = number(8, &mut at);
        number(4, &mut at);
    }
    if flags & 1 != 0 {
        number(4, &mut at);
    }
    if flags & 4 != 0 {
        for _ in 0..number(1, &mut at) as u64 {
            let text = |bytes: usize, at: &mut usize| {
                let length = number(bytes, at) as usize;
                let from = *at;
                *at += length;
                v.get(from.min(v.len())..(*at).min(v.len())).unwrap_or_default()
            };
            let (name, token) = (text(2, &mut at), text(1, &mut at));
            if at > v.len() {
                return cut;
            }
            let key = [tag, name].concat();
            match lua.get(&key) {
                Ok(Reply::Bulk(there)) if current(&there) == token => {}
                _ => return Extra::Void,
            }
        }
    }
    if at > v.len() { cut } else { Extra::Millis(more) }
}
