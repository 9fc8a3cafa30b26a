//! The queue of what is under way: the earliest deadline of it, in whatever order they come.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::engine::task::queue::Queue;

proptest! {
    #[test]
    fn the_earliest_deadline_is_that_of_a_look_at_all(
        steps in prop::collection::vec(prop::option::of(0_u64..50), 1..200),
    ) {
        let now = Instant::now();
        let (mut queue, mut all) = (Queue::default(), std::collections::VecDeque::new());
        for step in steps {
            if let Some(ms) = step {
                let deadline = now + Duration::from_millis(ms);
                queue.push_back(ms, deadline);
                all.push_back((ms, deadline));
            } else {
                prop_assert_eq!(queue.pop_front(), all.pop_front().map(|(ms, _)| ms));
            }
            prop_assert_eq!(queue.earliest(), all.iter().map(|(_, deadline)| *deadline).min());
            prop_assert_eq!(queue.is_empty(), all.is_empty());
        }
    }
}
