//! What lies at a tag's key: its token, when the tag was last ended, and which tokens it had before that are still of
//! use to who takes stale values.
//!
//! ```text
//! "token"                            never ended, as far as anybody knows
//! "token@time"                       ended at that time, of the server's clock, in milliseconds since 1970
//! "token@time;old+age/for;…"         softly: entries with the old token had been stale for `age` milliseconds when this
//!                                    was written, and are of use for `for` in all
//! "token@time#moment;old+age/for;…"  the same in this process: written at that moment of its monotonic clock
//! ```
//!
//! **Ages need no clock but the one that expires the key.** A record is written with a known life; what is left of it
//! says how long ago that was. So a record with old tokens is never given a longer life: it ends, and its tag's entries
//! are misses. The time is for callers to compare with times of the same server, and nothing here is decided by it.
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
    match record.split_once('@') {
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

/// A record that was read, as it is kept in this process. `written`: the moment at which it was written.
pub fn anchored(record: &str, written: i64) -> String {
    record.replacen(';', &format!("#{written};"), 1)
}

/// What an entry's token is to a record of this process.
pub fn standing(record: &str, held: &str, now: u64) -> Standing {
    if record == held {
        return Standing::Stands;
    }
    let Some(bare) = held.strip_suffix('"') else { return Standing::Ended };
    if record.strip_prefix(bare).is_some_and(|rest| rest.starts_with('@')) {
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
    let mut record = format!("{}@{time}", token.trim_end_matches('"'));
    if let Some(old) = old.filter(|_| stale_ms > 0) {
        record.push_str(&format!("#{now}"));
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

/// Milliseconds since it was written; none where it names no old tokens, or not when it was written.
fn since(record: &str, now: u64) -> Option<u64> {
    let (head, _) = record.split_once(';')?;
    let written: i64 = head.split_once('#')?.1.parse().ok()?;
    u64::try_from(i64::try_from(now).ok()?.saturating_sub(written)).ok()
}
