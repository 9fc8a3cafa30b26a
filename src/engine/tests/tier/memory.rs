//! The in-process tier: bounds, deadlines, counting.

use std::sync::Arc;

use std::time::Instant;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Kept;
use crate::engine::task::executor::Tasks;
use crate::engine::tests::leaps::run_until;
use crate::engine::tests::now_ms;
use crate::engine::tier::budget::Bounded;
use crate::engine::tier::memory::{MAX_SAFE_INTEGER, Memory, Uncountable};
use crate::engine::value::entry::{Codec, Meta};
use crate::engine::value::tag_list::Tags;

const FOREVER: Ttl = Ttl::Forever;

#[test]
fn an_entry_is_there_until_its_deadline_and_not_at_it() {
    let memory = Memory::new(1 << 20);
    memory.set("k", "1", Ttl::Millis(10), 1_000);
    assert_eq!(memory.get("k", 1_009), Some("1".into()));
    assert_eq!(memory.ttl("k", 1_004), Some(Ttl::Millis(6)));
    assert_eq!(memory.get("k", 1_010), None);
    assert_eq!(memory.usage().expired, 1);
    assert_eq!(memory.usage().entries, 0);
}

#[test]
fn the_bound_holds_in_bytes_with_keys_and_overhead() {
    let memory = Memory::new(1 << 20);
    for i in 0..50_000 {
        memory.set(&format!("key:{i}"), "\"some value of a few bytes\"", FOREVER, 0);
    }
    let usage = memory.usage();
    assert!(usage.bytes <= usage.max_bytes, "{usage:?}");
    assert!(usage.entries < 50_000 && usage.entries > 1_000, "{usage:?}");
    assert!(usage.evictions > 0, "{usage:?}");
}

#[test]
fn overwriting_and_removing_are_no_evictions() {
    let memory = Memory::new(1 << 20);
    for _ in 0..10 {
        memory.set("k", "1", FOREVER, 0);
        memory.increment(Codec::Json, "k", 1, FOREVER, 0).expect("an integer");
    }
    assert!(memory.remove("k", 0));
    assert!(!memory.remove("k", 0));
    assert_eq!(memory.usage().evictions, 0);
}

#[test]
fn a_value_too_large_for_the_tier_does_not_leave_the_older_one() {
    let memory = Memory::new(1 << 20);
    memory.set("k", "\"old\"", FOREVER, 0);
    memory.set("k", &"9".repeat(4 << 20), FOREVER, 0);
    assert_eq!(memory.get("k", 1), None);
}

#[test]
fn increment_counts_what_redis_would() {
    let memory = Memory::new(1 << 20);
    assert_eq!(memory.increment(Codec::Json, "n", 5, Ttl::Millis(50), 0), Ok(5));
    assert_eq!(memory.increment(Codec::Json, "n", -7, Ttl::Millis(900), 10), Ok(-2));
    assert_eq!(memory.ttl("n", 10), Some(Ttl::Millis(40)), "the ttl of the first call stays");
    for not in ["\"5\"", "1.5", "05", "+5", " 5", "9223372036854775808", "null"] {
        memory.set("x", not, FOREVER, 0);
        assert_eq!(memory.increment(Codec::Json, "x", 1, FOREVER, 0), Err(Uncountable::NotAnInteger), "{not}");
        assert_eq!(memory.get("x", 0), Some(not.into()), "stays as it was");
    }
    memory.set("max", &i64::MAX.to_string(), FOREVER, 0);
    assert_eq!(memory.increment(Codec::Json, "max", 1, FOREVER, 0), Err(Uncountable::NotAnInteger));
}

#[test]
fn expire_moves_the_deadline_of_what_is_there() {
    let memory = Memory::new(1 << 20);
    assert!(!memory.expire("k", FOREVER, 0));
    memory.set("k", "1", Ttl::Millis(5), 0);
    assert!(memory.expire("k", FOREVER, 1));
    assert_eq!(memory.ttl("k", 1_000_000), Some(Ttl::Forever));
}

#[test]
fn the_sweeper_removes_what_nobody_reads() {
    let memory = std::sync::Arc::new(Memory::new(8 << 20));
    for i in 0..12_000 {
        memory.set(&format!("gone:{i}"), "1", Ttl::Millis(1), now_ms());
    }
    memory.set("stays", "1", FOREVER, now_ms());
    let mut tasks = Tasks::new(Instant::now());
    let timers = tasks.spawner().timers().clone();
    tasks.spawner().spawn(Memory::sweep(std::sync::Arc::downgrade(&memory), timers));
    run_until(&mut tasks, || memory.usage().entries == 1);
    assert!(memory.contains("stays", now_ms()));
    assert_eq!(memory.usage().expired, 12_000);
    drop(memory);
    run_until(&mut tasks, || false);
    assert!(tasks.is_empty(), "the sweeper ends with its tier");
}

#[test]
fn what_javascript_cannot_hold_is_not_counted_and_the_counter_stays_as_it_was() {
    let memory = Memory::new(1 << 20);
    for (start, amount) in [(MAX_SAFE_INTEGER, 1), (-MAX_SAFE_INTEGER, -1), (MAX_SAFE_INTEGER + 2, -1)] {
        memory.set("n", &start.to_string(), FOREVER, 0);
        assert_eq!(memory.increment(Codec::Json, "n", amount, FOREVER, 0), Err(Uncountable::Unsafe), "{start}");
        assert_eq!(memory.get("n", 0), Some(start.to_string().as_str().into()));
    }
    memory.set("n", "9007199254740990", FOREVER, 0);
    assert_eq!(memory.increment(Codec::Json, "n", 1, FOREVER, 0), Ok(MAX_SAFE_INTEGER));
}

#[test]
fn an_entry_weighs_the_names_and_tokens_of_its_tags() {
    let weigh = |tags: Vec<(&str, &str)>| {
        let memory = Memory::new(1 << 20);
        let meta = Meta { tags: Tags::new(tags.iter().copied()), ..Meta::default() };
        memory.put("k", "1", Some(Arc::new(meta)), FOREVER, 0);
        memory.weight()
    };
    let (long, token) = ("x".repeat(512), "\"0123456789abcdef\"");
    let none = weigh(Vec::new());
    let many = weigh(vec![(&*long, token); 64]);
    assert!(many - none >= 64 * (512 + 18), "{} bytes of tags weigh {}", 64 * 530, many - none);
    assert!(many - none <= 64 * (512 + 18) * 5 / 4, "{} bytes of tags weigh {}", 64 * 530, many - none);
}

#[test]
fn a_value_too_large_for_its_shard_is_a_miss_whatever_room_is_left_elsewhere() {
    // 64 MiB are four shards of 16.
    let memory = Memory::new(64 << 20);
    memory.set("k", "\"old\"", FOREVER, 0);
    memory.set("k", &"9".repeat(20 << 20), FOREVER, 0);
    assert_eq!(memory.get("k", 1), None, "and the older value is gone");
    memory.set("k", &"9".repeat(15 << 20), FOREVER, 0);
    assert!(memory.get("k", 1).is_some());
}

#[test]
fn a_whole_value_is_shared_by_its_readers_and_weighs_what_it_is() {
    for memory in [Memory::new(1 << 20), Memory::new(256 << 10)] {
        let before = memory.usage().bytes;
        let bytes = Kept::bytes(vec![0xFF; 50_000]);
        memory.put("bytes", &bytes, None, Ttl::Forever, 0);
        memory.put("text", &Kept::text("é".repeat(10_000)), None, Ttl::Forever, 0);
        let weight = memory.usage().bytes - before;
        assert!((70_000..200_000).contains(&weight), "{weight}");
        let (Kept::Bytes(given), Some(Kept::Bytes(found))) = (&bytes, memory.get("bytes", 1)) else { panic!("bytes") };
        assert!(std::sync::Arc::ptr_eq(given, &found), "not copied");
        assert!(memory.expire("bytes", Ttl::Forever, 1));
        assert_eq!(memory.get("bytes", 1), Some(bytes));
        assert_eq!(memory.get("text", 1), Some(Kept::text("é".repeat(10_000))));
        assert!(memory.increment(Codec::Raw, "bytes", 1, Ttl::Forever, 1).is_err());
        memory.put("text", "1", None, Ttl::Forever, 1);
        assert_eq!(memory.get("text", 1), Some("1".into()));
    }
}
