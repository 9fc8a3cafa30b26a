//! The record at a tag's key: which tokens stand, and how old those are that were ended softly.

use std::sync::Arc;

use crate::engine::value::record::{self, MAX_OLD, Standing};

const NOW: u64 = 1_000_000;

fn token(n: usize) -> String {
    format!("\"{n:016x}\"")
}

/// The record of a tag that was ended so often, a second apart, each time softly for so long.
fn ended(times: usize, stale_ms: u64) -> String {
    (1..=times).fold(token(0), |old, n| {
        record::replaced(Some(&old), &token(n), stale_ms, 7_000 + n as u64, NOW + 1_000 * n as u64)
    })
}

#[test]
fn a_token_stands_until_another_one_takes_its_place() {
    assert_eq!(record::standing(&token(0), &token(0), NOW), Standing::Stands);
    assert_eq!(record::standing(&token(0), &token(1), NOW), Standing::Ended);
    let whole = record::replaced(Some(&token(0)), &token(1), 0, 7_000, NOW);
    assert_eq!(whole, format!("{}@7000#{NOW}~0\"", token(1).trim_end_matches('"')));
    assert_eq!(record::standing(&whole, &token(1), NOW), Standing::Stands);
    assert_eq!(record::standing(&whole, &token(0), NOW), Standing::Ended);
    assert_eq!(*record::current(&Arc::from(&*whole)), token(1));
    assert_eq!(*record::current(&Arc::from(&*token(0))), token(0));
}

#[test]
fn an_old_token_is_of_use_for_as_long_as_was_said() {
    let soft = ended(1, 5_000);
    let at = |ms| record::standing(&soft, &token(0), NOW + 1_000 + ms);
    assert_eq!([at(0), at(4_999), at(5_000)], [Standing::Soft(0), Standing::Soft(4_999), Standing::Ended]);
    assert_eq!(*record::current(&Arc::from(&*soft)), token(1));
    // A whole end leaves nothing of it.
    let whole = record::replaced(Some(&soft), &token(2), 0, 0, NOW + 1_000);
    assert_eq!(record::standing(&whole, &token(0), NOW + 1_000), Standing::Ended);
    assert!(!record::is_soft(&whole));
}

#[test]
fn of_many_soft_ends_the_last_ones_are_remembered_and_none_gets_younger() {
    let soft = ended(12, 60_000);
    let now = NOW + 12_000;
    for n in 0..12 {
        let age = 1_000 * (11 - n as u64);
        let expected = if 12 - n > MAX_OLD { Standing::Ended } else { Standing::Soft(age) };
        assert_eq!(record::standing(&soft, &token(n), now), expected, "token {n}");
    }
    // Those that are of no use any more are not carried on.
    assert_eq!(ended(12, 2_500).matches(';').count(), 3);
}

#[test]
fn what_redis_has_says_how_old_it_is_only_once_its_moment_is_known() {
    let stored = "\"0000000000000001@7000;0000000000000000+500/5000\"";
    assert_eq!(record::standing(stored, &token(0), NOW), Standing::Ended);
    let kept = record::anchored(stored, -200, 5);
    assert_eq!(record::standing(&kept, &token(0), 1_000), Standing::Soft(1_700));
    assert_eq!(record::standing(&kept, &token(1), 1_000), Standing::Stands);
    assert_eq!(record::ended_ms(&kept), 7_000);
    assert_eq!(record::ended_ms(&token(1)), 0);
}

#[test]
fn what_anybody_may_have_written_is_no_more_than_a_token() {
    let odd = [
        "\"\"",
        "\"@\"",
        "5",
        "null",
        "\"a;b+1/2\"",
        "\"a@;\"",
        "\"a@1#x;0+0/9\"",
        "\"a@99999999999999999999#1;;\"",
        "{}",
    ];
    for record in odd {
        for held in [&*token(0), "\"\"", "", "\"", "5", "\"0\""] {
            let stands = record == held || (held == "\"\"" && record == "\"@\"");
            let expected = if stands { Standing::Stands } else { Standing::Ended };
            assert_eq!(record::standing(record, held, NOW), expected, "{record} {held}");
        }
        record::ended_ms(record);
        record::current(&Arc::from(record));
        record::replaced(Some(record), &token(1), 60_000, 0, NOW);
        record::anchored(record, i64::MIN, u64::MAX);
        record::is_older(record, NOW);
    }
}

#[test]
fn whether_a_tag_was_ended_since_is_known_by_when_its_record_was_written() {
    // Nobody knows.
    assert!(!record::is_older(&token(1), u64::MAX) && !record::has_ended(&token(1)));
    // Whole and soft ends, of this process.
    for stale_ms in [0, 5_000] {
        let ended = record::replaced(Some(&token(0)), &token(1), stale_ms, 7_000, NOW);
        let older = [NOW - 1, NOW, NOW + 1].map(|moment| record::is_older(&ended, moment));
        assert_eq!(older, [false, false, true], "{ended}");
        assert!(record::has_ended(&ended));
    }
    // What was read may have been written later than at its moment, by the time that the reading took.
    let stored = ["\"a@7000\"", "\"a@7000;b+500/5000\"", "\"a\""];
    for stored in stored {
        let read = record::anchored(stored, 1_000, 20);
        let older = [1_000, 1_020, 1_021].map(|moment| record::is_older(&read, moment));
        assert_eq!(older, [false, false, true], "{read}");
        assert_eq!(record::standing(&read, "\"a\"", NOW), Standing::Stands);
        assert_eq!(*record::current(&Arc::from(&*read)), *"\"a\"");
    }
    // Ended, and nobody knows when.
    assert!(stored.iter().chain(&["\"a@1#x~1\""]).all(|record| !record::is_older(record, u64::MAX)));
}
