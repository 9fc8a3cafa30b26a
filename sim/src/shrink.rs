//! Makes a schedule that violates a guarantee smaller, as long as it still does: without faults, clients, steps and
//! calls that have nothing to do with it. The simulation is exact, so one try says enough.

use crate::schedule::Schedule;
use crate::search::attempt;

/// From this many calls of a turn on, half of them are left out at once.
const MANY: usize = 32;

/// The smallest schedule that was found to violate the same guarantee, and how many were tried.
pub fn shrink(schedule: &Schedule, guarantee: &str) -> (Schedule, usize) {
    let mut shrunk = schedule.clone();
    let mut tries = 0;
    loop {
        let before = size(&shrunk);
        for part in [faults, clients, steps, halves, calls, pauses] {
            let mut at = 0;
            while let Some(smaller) = part(&shrunk, at) {
                tries += 1;
                if attempt(&smaller).1.iter().any(|found| found.guarantee == guarantee) {
                    shrunk = smaller;
                } else {
                    at += 1;
                }
            }
        }
        if size(&shrunk) == before {
            return (shrunk, tries);
        }
    }
}

fn size(schedule: &Schedule) -> (usize, usize, u64) {
    let steps = schedule.clients.iter().flat_map(|client| &client.steps);
    let calls = steps.clone().map(|step| 1 + step.calls.len()).sum();
    (schedule.faults.len() + schedule.clients.len(), calls, steps.map(|step| step.pause).sum())
}

/// Each of these gives the schedule without its part number `at`; none where there is no such part.
fn faults(schedule: &Schedule, at: usize) -> Option<Schedule> {
    let mut smaller = schedule.clone();
    (at < smaller.faults.len()).then(|| _ = smaller.faults.remove(at))?;
    Some(smaller)
}

fn clients(schedule: &Schedule, at: usize) -> Option<Schedule> {
    let mut smaller = schedule.clone();
    (at < smaller.clients.len()).then(|| _ = smaller.clients.remove(at))?;
    Some(smaller)
}

fn steps(schedule: &Schedule, mut at: usize) -> Option<Schedule> {
    let mut smaller = schedule.clone();
    for client in &mut smaller.clients {
        // The last one stays: a client without any is one less.
        let removable = client.steps.len().saturating_sub(1);
        if at < removable {
            client.steps.remove(at);
            return Some(smaller);
        }
        at -= removable;
    }
    None
}

/// Without half of the calls of a turn that makes many.
fn halves(schedule: &Schedule, at: usize) -> Option<Schedule> {
    let mut smaller = schedule.clone();
    let steps = smaller.clients.iter_mut().flat_map(|client| &mut client.steps);
    let step = steps.filter(|step| step.calls.len() > MANY).nth(at / 2)?;
    let second = step.calls.split_off(step.calls.len() / 2);
    if at.is_multiple_of(2) {
        step.calls = second;
    }
    Some(smaller)
}

fn calls(schedule: &Schedule, mut at: usize) -> Option<Schedule> {
    let mut smaller = schedule.clone();
    for step in smaller.clients.iter_mut().flat_map(|client| &mut client.steps) {
        let removable = if step.calls.len() > 1 { step.calls.len() } else { 0 };
        if at < removable {
            step.calls.remove(at);
            return Some(smaller);
        }
        at -= removable;
    }
    None
}

fn pauses(schedule: &Schedule, mut at: usize) -> Option<Schedule> {
    let mut smaller = schedule.clone();
    for step in smaller.clients.iter_mut().flat_map(|client| &mut client.steps).filter(|step| step.pause > 0) {
        if at == 0 {
            step.pause = 0;
            return Some(smaller);
        }
        at -= 1;
    }
    None
}
