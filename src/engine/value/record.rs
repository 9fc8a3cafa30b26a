//! What lies at a tag's key: its token, when the tag was last ended, and which tokens it had before that are still of
//! use to who takes stale values.
//!
//! ```text
//! "token"                            never ended, as far as anybody knows
//! "token@time"                       ended at that time, of the server's clock, in milliseconds since 1970
//! "token@time;old+age/for;…"         softly: entries with the old token had been stale for `age` milliseconds when this
//!                                    was written, and are of use for `for` in all
//! "token@time#moment~more;old+…"     as any that was read, in this process: written at that moment of its monotonic
//!                                    clock, or up to so many milliseconds later
//! ```
//!
//! **Ages need no clock but the one that expires the key.** A record is written with a known life; what is left of it
//! says how long ago that was. So a record with old tokens is never given a longer life: it ends, and its tag's entries
//! are misses. The time is for callers to compare with times of the same server, and nothing here is decided by it.
//!
//! **Tags that a function names when it has read.** Nobody knew them when it began, so no token of then is at hand.
//! Their records tell whether they were ended since: what was written before is older than all that the function read.
//! A younger one that names no end was made by who stores, as there was none: nobody has ended the tag, unless ends
//! remove the record (a server that denies scripts), or this very process has ended tags since, and the record was
//! lost.
//!
//! **It may be lost**: evicted, or not copied before a failover. Then its tag gets a new token, and no older entry fits
//! that.

use std::sync::Arc;

/// Old tokens that are kept: those of the last soft ends. Who holds an earlier one is a miss.
pub const MAX_OLD: usize = 8;

/// What an entry's token is to the record at its tag's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Stands,
    /// Softly ended, so many milliseconds ago.
    Soft(u64),
    Ended,
}

/// The token that new entries get, a JSON string as the record is.
pub fn current(record: &Arc<str>) -> Arc<str> {
    match record.split_once(['@', '#']) {
        Some((token, _)) => format!("{token}\"").into(),
        None => record.clone(),
    }
}

/// When the tag was last ended; 0: never, as far as is known.
pub fn ended_ms(record: &str) -> u64 {
    let Some((_, rest)) = record.split_once('@') else { return 0 };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest.get(..digits).and_then(|time| time.parse().ok()).unwrap_or(0)
}

/// Whether it names old tokens.
pub fn is_soft(record: &str) -> bool {
    record.contains(';')
}

/// Whether it names an end of its tag.
pub fn has_ended(record: &str) -> bool {
    record.contains('@')
}

/// A record that was read, as it is kept in this process. `written`: the moment at which it was written, or up to
/// `more` milliseconds before that.
pub fn anchored(record: &str, written: i64, more: u64) -> String {
    let at = record.find(';').unwrap_or_else(|| record.trim_end_matches('"').len());
    let (head, rest) = record.split_at(at);
    format!("{head}#{written}~{more}{rest}")
}

/// Whether it was certainly written before this moment: a record of this process.
pub fn is_older(record: &str, moment: u64) -> bool {
    let moment = i64::try_from(moment).unwrap_or(i64::MAX);
    written(record).is_some_and(|(written, more)| written.saturating_add(more) < moment)
}

/// What an entry's token is to a record of this process.
pub fn standing(record: &str, held: &str, now: u64) -> Standing {
    if record == held {
        return Standing::Stands;
    }
    let Some(bare) = held.strip_suffix('"') else { return Standing::Ended };
    if record.strip_prefix(bare).is_some_and(|rest| rest.starts_with(['@', '#'])) {
        return Standing::Stands;
    }
    let Some(since) = since(record, now) else { return Standing::Ended };
    let old = olds(record).find(|old| bare.strip_prefix('"') == Some(old.token));
    match old.map(|old| (old.age.saturating_add(since), old.life)) {
        Some((age, life)) if age < life => Standing::Soft(age),
        _ => Standing::Ended,
    }
}

/// The record that replaces another one in this process. `stale_ms`: for how long entries with the token of before are
/// of use; 0 for not at all.
pub fn replaced(old: Option<&str>, token: &str, stale_ms: u64, time: u64, now: u64) -> String {
    let mut record = format!("{}@{time}#{now}~0", token.trim_end_matches('"'));
    if let Some(old) = old.filter(|_| stale_ms > 0) {
        let before = current(&Arc::from(old));
        record.push_str(&format!(";{}+0/{stale_ms}", before.trim_matches('"')));
        let since = since(old, now).unwrap_or(u64::MAX);
        for Old { token, age, life } in olds(old).take(MAX_OLD - 1) {
            let age = age.saturating_add(since);
            if age < life {
                record.push_str(&format!(";{token}+{age}/{life}"));
            }
        }
    }
    record.push('"');
    record
}

/// An old token, of a record.
struct Old<'a> {
    token: &'a str,
    /// When the record was written.
    age: u64,
    /// For how long it is of use.
    life: u64,
}

fn olds(record: &str) -> impl Iterator<Item = Old<'_>> {
    record.trim_end_matches('"').split(';').skip(1).filter_map(|old| {
        let (token, rest) = old.split_once('+')?;
        let (age, life) = rest.split_once('/')?;
        Some(Old { token, age: age.parse().ok()?, life: life.parse().ok()? })
    })
}

/// The moment at which it was written, where it says so, and for how many milliseconds that may be too early.
fn written(record: &str) -> Option<(i64, i64)> {
    let head = record.split(';').next()?.trim_end_matches('"');
    let (moment, more) = head.split_once('#')?.1.split_once('~')?;
    Some((moment.parse().ok()?, more.parse().ok()?))
}

/// Milliseconds since then.
fn since(record: &str, now: u64) -> Option<u64> {
    u64::try_from(i64::try_from(now).ok()?.saturating_sub(written(record)?.0)).ok()
}
