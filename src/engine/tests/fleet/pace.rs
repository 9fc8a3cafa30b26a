//! The pace of refreshes, on a time that the tests make.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::engine::base::random::Random;
use crate::engine::fleet::pace::{Found, LONGEST_PAUSE, PERIOD, Pace, SHORTEST_PAUSE};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One whose first refresh has ended with a change, and the time.
fn paced(seed: u64) -> (Pace, Instant) {
    let now = Instant::now();
    let mut pace = Pace::new(PERIOD, Random::seeded(seed), now);
    assert!(pace.begin(now));
    pace.end(Found::Change, now);
    (pace, now)
}

/// Waits for the next refresh, which ends at once, and says how long it waited.
fn refresh(pace: &mut Pace, now: &mut Instant, found: Found) -> Duration {
    let moment = pace.next_moment().expect("none is under way").max(*now);
    assert!(moment == *now || !pace.begin(moment - ms(1)), "not before");
    assert!(pace.begin(moment));
    pace.end(found, moment);
    let waited = moment - *now;
    *now = moment;
    waited
}

#[test]
fn the_first_refresh_is_wanted_at_once() {
    let now = Instant::now();
    let mut pace = Pace::new(PERIOD, Random::seeded(1), now);
    assert_eq!(pace.next_moment(), Some(now));
    assert!(pace.begin(now) && !pace.begin(now), "one is under way");
    assert_eq!(pace.next_moment(), None);
}

#[test]
fn without_a_wish_there_is_one_in_a_period_give_or_take_a_tenth() {
    let mut waits = Vec::new();
    for seed in 0..100 {
        let (mut pace, mut now) = paced(seed);
        waits.push(refresh(&mut pace, &mut now, Found::Same));
        waits.push(refresh(&mut pace, &mut now, Found::Same));
    }
    assert!(waits.iter().all(|wait| (ms(13_500)..=ms(16_500)).contains(wait)), "{waits:?}");
    waits.sort();
    let spread = waits[waits.len() - 1] - waits[0];
    assert!(spread > ms(2_500), "processes that begin together do not ask together: {spread:?}");
}

#[test]
fn a_wish_after_a_calm_is_granted_at_once() {
    let (mut pace, now) = paced(1);
    let later = now + ms(10_000);
    assert!(!pace.begin(later));
    pace.wish(later);
    assert!(pace.begin(later));
}

#[test]
fn pauses_grow_while_nothing_changes_and_are_short_again_after_a_change() {
    let (mut pace, mut now) = paced(1);
    now += ms(10_000);
    let mut next = |found| {
        pace.wish(now);
        refresh(&mut pace, &mut now, found).as_millis()
    };
    let waits = [0; 7].map(|_| next(Found::Same));
    assert_eq!(waits, [0, 100, 200, 400, 800, 1_000, 1_000]);
    assert_eq!([next(Found::Change), next(Found::Change), next(Found::Same)], [1_000, 100, 100]);
    assert_eq!([next(Found::Same), next(Found::Same)], [100, 200]);
}

#[test]
fn a_calm_ends_the_long_pauses() {
    let (mut pace, mut now) = paced(1);
    for _ in 0..9 {
        pace.wish(now);
        refresh(&mut pace, &mut now, Found::Same);
    }
    now += LONGEST_PAUSE + LONGEST_PAUSE;
    let waits = [0; 3].map(|_| {
        pace.wish(now);
        refresh(&mut pace, &mut now, Found::Same).as_millis()
    });
    assert_eq!(waits, [0, 100, 200]);
}

#[test]
fn a_refresh_that_failed_is_tried_again_without_a_wish() {
    let (mut pace, mut now) = paced(1);
    pace.wish(now);
    let waits = [0; 6].map(|_| refresh(&mut pace, &mut now, Found::Nothing).as_millis());
    assert_eq!(waits, [100, 100, 200, 400, 800, 1_000]);
    refresh(&mut pace, &mut now, Found::Same);
    assert!(refresh(&mut pace, &mut now, Found::Same) >= ms(13_500), "it has ended well");
}

#[test]
fn a_wish_while_one_is_under_way_may_be_about_something_newer() {
    let (mut pace, now) = paced(1);
    pace.wish(now);
    let begun = now + SHORTEST_PAUSE;
    assert!(pace.begin(begun));
    pace.wish(begun + ms(1));
    pace.end(Found::Same, begun + ms(2));
    assert_eq!(pace.next_moment(), Some(begun + ms(2) + SHORTEST_PAUSE));
}

#[test]
fn any_period_has_bounds_and_an_end_that_none_began_is_nothing() {
    for (period, from, to) in [(Duration::ZERO, 1_800, 2_200), (Duration::MAX, 77_760_000, 95_040_000)] {
        let now = Instant::now();
        let mut pace = Pace::new(period, Random::seeded(1), now);
        pace.end(Found::Same, now);
        assert!(pace.begin(now), "the first is still wanted");
        pace.end(Found::Same, now);
        let next = pace.next_moment().expect("none is under way") - now;
        assert!((ms(from)..=ms(to)).contains(&next), "{next:?}");
    }
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Event {
    Wish,
    /// So many milliseconds pass.
    Pass(u64),
    End(Found),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let found = prop::sample::select(vec![Found::Change, Found::Same, Found::Nothing]);
    let event = prop_oneof![
        6 => Just(Event::Wish),
        6 => (0_u64..150).prop_map(Event::Pass),
        1 => (0_u64..200_000).prop_map(Event::Pass),
        3 => found.prop_map(Event::End),
    ];
    prop::collection::vec(event, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_storm_there_is_refreshes_are_far_enough_apart_and_no_wish_is_lost(
        events in events(),
        seed in any::<u64>(),
    ) {
        let mut now = Instant::now();
        let mut pace = Pace::new(PERIOD, Random::seeded(seed), now);
        let (mut ended, mut wished, mut under_way) = (None, Some(now), false);
        for event in events {
            match event {
                Event::Wish => {
                    pace.wish(now);
                    wished = wished.or(Some(now));
                }
                Event::Pass(time) => now += ms(time),
                Event::End(found) => {
                    pace.end(found, now);
                    if under_way {
                        ended = Some(now);
                        wished = wished.or((found == Found::Nothing).then_some(now));
                    }
                    under_way = false;
                }
            }
            let was_under_way = under_way;
            if pace.begin(now) {
                prop_assert!(!was_under_way);
                prop_assert!(ended.is_none_or(|ended| now - ended >= SHORTEST_PAUSE));
                (under_way, wished) = (true, None);
            }
            let waits = ended.is_some_and(|ended| now - ended < LONGEST_PAUSE);
            prop_assert!(wished.is_none() || under_way || waits, "a wish is forgotten");
            let next = pace.next_moment();
            prop_assert_eq!(next.is_none(), under_way);
            prop_assert!(next.is_none_or(|next| next > now && next <= now + PERIOD.mul_f64(1.1)));
        }
    }
}
