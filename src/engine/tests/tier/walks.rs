//! Walks over an in-process store: in steps, and one for all who wait.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join;

use crate::engine::base::clock::Ttl;
use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::task::executor::Tasks;
use crate::engine::task::timers::Timers;
use crate::engine::tests::leaps::{finish, run_until};
use crate::engine::tests::now_ms;
use crate::engine::tier::memory::Memory;

const FOREVER: Ttl = Ttl::Forever;

fn pattern(glob: &str) -> Pattern {
    Pattern::new(&Prefix::new("app"), glob, false)
}

#[test]
fn one_walk_does_for_all_sweeps_that_wait_and_goes_in_steps() {
    let memory = Memory::new(64 << 20);
    for i in 0..20_000 {
        memory.set(&format!("app:{i}"), "1", FOREVER, now_ms());
    }
    let (odd, even) = (memory.raise(&pattern("*[13579]"), false), memory.raise(&pattern("*[02468]"), false));
    memory.set("app:1", "2", FOREVER, now_ms());
    let timers = Timers::new(Instant::now());
    assert_eq!(finish(&timers, memory.count("app:", &timers)), 1, "what is hidden does not count");
    let both = join(memory.swept(&odd, &timers), memory.swept(&even, &timers));
    let (odd, even) = finish(&timers, both);
    assert_eq!((odd, even), (10_000, 10_000));
    assert_eq!(memory.usage().entries, 1);
}

#[test]
fn a_store_that_is_dropped_is_empty_at_once_and_freed_in_the_background() {
    let memory = Arc::new(Memory::new(64 << 20));
    for i in 0..20_000 {
        memory.set(&format!("{i}"), "1", FOREVER, now_ms());
    }
    assert_eq!(memory.clear(now_ms()), 20_000);
    assert!(!memory.contains("7", now_ms()));
    memory.set("7", "2", FOREVER, now_ms());
    let mut tasks = Tasks::new(Instant::now());
    let timers = tasks.spawner().timers().clone();
    tasks.spawner().spawn(Memory::sweep(Arc::downgrade(&memory), timers));
    run_until(&mut tasks, || memory.usage().entries == 1);
    assert_eq!(memory.get("7", now_ms()), Some("2".into()));
}
