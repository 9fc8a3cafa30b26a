//! Runs schedules one after the other, judges each, and stops where one violates a guarantee.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::history::{History, Mode};
use crate::planner::schedule;
use crate::rules::{self, Violation};
use crate::schedule::{Schedule, Topology};
use crate::world;

/// Which schedules.
#[derive(Clone, Copy)]
pub struct Search {
    pub seed: u64,
    pub first: u64,
    pub count: u64,
    /// No schedule begins later than this.
    pub time: Duration,
    pub topology: Topology,
    /// Goes on where one is violated.
    pub keep_going: bool,
    /// Of this kind alone; the others are passed over.
    pub theme: Option<&'static str>,
}

/// What became of a search.
#[derive(Default)]
pub struct Tally {
    pub schedules: u64,
    pub calls: u64,
    /// Calls that began and ended while Redis was away, and those during which that changed.
    pub away: u64,
    pub unknown: u64,
    pub outages: u64,
    pub violated: u64,
    pub first: Option<(Schedule, History, Vec<Violation>)>,
    /// While the search goes on behind a violation: which one that was.
    pub latest: Option<String>,
    pub took: Duration,
}

/// Runs a schedule and judges it. Whatever panics within the engine is a violation of its own.
pub fn attempt(schedule: &Schedule) -> (History, Vec<Violation>) {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let history = world::run(schedule, false).0;
        let found = rules::check(&history);
        (history, found)
    }));
    tried.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        (History::default(), vec![Violation { guarantee: "panic", text, records: Vec::new() }])
    })
}

/// Runs schedules; `progress` is told of the tally now and then.
pub fn search(search: Search, mut progress: impl FnMut(&Tally)) -> Tally {
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut told = Duration::ZERO;
    for index in search.first..search.first.saturating_add(search.count) {
        tally.took = began.elapsed();
        if tally.took >= search.time {
            break;
        }
        if tally.took >= told + Duration::from_secs(10) {
            told = tally.took;
            progress(&tally);
        }
        let schedule = schedule(search.seed, index, search.topology);
        if search.theme.is_some_and(|theme| theme != schedule.theme) {
            continue;
        }
        let (history, found) = attempt(&schedule);
        tally.schedules += 1;
        tally.add(&history);
        if !found.is_empty() {
            tally.violated += 1;
            let Violation { guarantee, text, .. } = &found[0];
            let latest = format!("schedule {index} ({}): {guarantee}: {text}", schedule.theme);
            tally.first.get_or_insert((schedule, history, found));
            if !search.keep_going {
                break;
            }
            tally.latest = Some(latest);
            progress(&tally);
            tally.latest = None;
        }
    }
    tally.took = began.elapsed();
    tally
}

impl Tally {
    fn add(&mut self, history: &History) {
        self.calls += history.records.len() as u64;
        self.outages += history.events.iter().filter(|event| event.fallback).count() as u64;
        for record in &history.records {
            match record.after {
                Some(after) if after == record.before => self.away += u64::from(after.mode == Mode::Memory),
                _ => self.unknown += 1,
            }
        }
    }
}
