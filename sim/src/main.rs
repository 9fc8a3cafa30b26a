//! `npm run check:simulation`: runs schedules on the simulated world, and tells which guarantee does not hold.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use crate::planner::themes::THEMES;
use crate::schedule::Topology;
use crate::search::{Search, Tally, attempt, search};

mod agenda;
mod bound;
mod history;
mod planner;
mod rules;
#[cfg(test)]
mod scenarios;
mod schedule;
mod search;
mod server;
mod shrink;
mod story;
mod words;
mod world;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "npm run check:simulation -- [options]
  --schedules N      how many schedules, from the first one of the seed on (50,000)
  --seconds T        as many as begin within so many seconds, instead
  --seed S           (1)
  --first I          begins with this one (0)
  --schedule I       this one alone, with its story
  --theme NAME       those of one kind alone (sim/src/planner/themes.rs)
  --topology NAME    single; sentinel: a primary, its replica and three sentinels; or cluster: three primaries of a
                     cluster, each with a replica (single)
  --keep-going       does not stop at the first that is violated
  --mutant FENCE     a build without this fence, or `all` of them in turn, which must be caught within 100,000 schedules";

/// A mutant must be caught within so many.
const MUTANT_SCHEDULES: u64 = 100_000;

fn main() -> ExitCode {
    match arguments() {
        Ok((plan, Some(mutants))) => check_mutants(plan, &mutants),
        Ok((plan, None)) => check(plan),
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What to search, and which mutants to catch, if any.
fn arguments() -> Result<(Search, Option<Vec<String>>), String> {
    let mut plan = Search {
        seed: 1,
        first: 0,
        count: 50_000,
        time: Duration::MAX,
        keep_going: false,
        theme: None,
        topology: Topology::Single,
    };
    let mut mutants = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--keep-going" {
            plan.keep_going = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        if word == "--mutant" {
            mutants = Some(value);
            continue;
        }
        if word == "--topology" {
            let named = Topology::ALL.iter().find(|(name, _)| *name == value);
            plan.topology = named.ok_or_else(|| format!("there is no topology {value}"))?.1;
            continue;
        }
        if word == "--theme" {
            let all = THEMES.iter().chain(planner::cluster::THEMES);
            let named = all.map(|theme| theme.name).find(|name| *name == value);
            plan.theme = Some(named.ok_or_else(|| format!("there is no theme {value}"))?);
            continue;
        }
        let number = value.parse().map_err(|_| format!("{word} must be a whole number, not {value}"))?;
        match word.as_str() {
            "--schedules" => plan.count = number,
            "--seconds" => (plan.count, plan.time) = (u64::MAX, Duration::from_secs(number)),
            "--seed" => plan.seed = number,
            "--first" => plan.first = number,
            "--schedule" => (plan.first, plan.count) = (number, 1),
            _ => return Err(format!("{word} is no option")),
        }
    }
    let fences = |named: String| match named.as_str() {
        "all" if plan.topology == Topology::Cluster => CLUSTER_FENCES.map(str::to_owned).to_vec(),
        "all" if plan.topology == Topology::Sentinel => SENTINEL_FENCES.map(str::to_owned).to_vec(),
        "all" => fences(),
        _ => vec![named],
    };
    Ok((plan, mutants.map(fences)))
}

/// Those of a cluster: the order behind a redirect, of what comes back late, and of what waited where its slot was;
/// what is to be undone in a slot that moves; the tokens of what is sent once more; what a call left in process while
/// its server was there, and what an outage did, once another server has its place; and what was stored behind a sweep
/// that some server is still to do. The tests of the engine alone
/// notice `moved` and `again`, hot values of a slot that moves and what is held of one that comes back (servers of
/// today push each key that leaves them), and `epoch`, an old answer (it costs detours).
const CLUSTER_FENCES: [&str; 8] = ["detour", "late", "stray", "handed", "pinned", "leftover", "heir", "spared"];

/// And of sentinels: that the server which they name is proved to be the primary.
const SENTINEL_FENCES: [&str; 1] = ["role"];

/// The fences that the engine can lack and that the schedules can show. The tests of the engine alone notice `budget`
/// (no call tells how much memory is held), `take` (without it a refresh may run a second time, and stores nothing:
/// no guarantee counts computations), and `codec` (the caches here have one).
fn fences() -> Vec<String> {
    let names = [
        "placeholder",
        "called",
        "own-write",
        "flight",
        "lease",
        "landing",
        "tags",
        "journal",
        "kill",
        "replay",
        "prefix",
        "cover",
        "exception",
        "mark",
        "living",
        "outdated",
        "expire",
        "vouch",
        "max-age",
        "unleased",
        "null",
        "hot",
        "thaw",
        "swept",
        "torn",
        "distrust",
        "token",
        "dropped",
        "order",
        "tagged",
        "walk",
        "replace",
        "orphans",
        "untracked",
    ];
    names.map(str::to_owned).to_vec()
}

fn check(plan: Search) -> ExitCode {
    let tally = search(plan, |tally| println!("  {}", tally.latest.clone().unwrap_or_else(|| told(tally))));
    if let Some((schedule, ..)) = &tally.first {
        explain(schedule);
    } else if plan.count == 1 {
        tell(&planner::schedule(plan.seed, plan.first, plan.topology));
    }
    println!("seed {}: {}", plan.seed, told(&tally));
    println!(
        "{} calls, {} of them in {} outages, {} as one began or ended",
        tally.calls, tally.away, tally.outages, tally.unknown
    );
    if tally.violated == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(tally: &Tally) -> String {
    let seconds = tally.took.as_secs_f64();
    let a_minute = tally.schedules as f64 / seconds.max(0.001) * 60.0;
    let Tally { schedules, violated, .. } = tally;
    format!("{schedules} schedules in {seconds:.1} s ({a_minute:.0} a minute): {violated} violated")
}

/// Shrinks a schedule that violates a guarantee, and tells its story.
fn explain(schedule: &schedule::Schedule) {
    let (seed, index) = (schedule.seed, schedule.index);
    let Some(first) = attempt(schedule).1.into_iter().next() else { return };
    println!("\nschedule {index} of seed {seed} ({}): {}: {}", schedule.theme, first.guarantee, first.text);
    if first.guarantee != "panic" {
        let (shrunk, tries) = shrink::shrink(schedule, first.guarantee);
        println!("shrunk in {tries} tries:\n");
        tell(&shrunk);
    }
    let topology = schedule.topology().name();
    println!("again: npm run check:simulation -- --topology {topology} --seed {seed} --schedule {index}\n");
}

fn tell(schedule: &schedule::Schedule) {
    let (history, trace) = world::run(schedule, true);
    let found = rules::check(&history);
    println!("{}", story::story(schedule, &history, &found, &trace));
}

/// Builds that lack a fence: each must be caught. The engine asks the environment which one it lacks, once: so each has
/// a process of its own.
fn check_mutants(plan: Search, mutants: &[String]) -> ExitCode {
    if mutants.len() == 1 {
        let plan = Search { count: MUTANT_SCHEDULES, ..plan };
        let tally = search(plan, |_| {});
        let mutant = &mutants[0];
        return match &tally.first {
            Some((schedule, _, found)) => {
                let (schedules, theme, text) = (schedule.index + 1 - plan.first, schedule.theme, &found[0].text);
                println!("  without {mutant:12} caught after {schedules} ({theme}): {}: {text}", found[0].guarantee);
                ExitCode::SUCCESS
            }
            None => {
                println!("  without {mutant:12} NOT CAUGHT in {}", tally.schedules);
                ExitCode::FAILURE
            }
        };
    }
    let Ok(own) = std::env::current_exe() else { return ExitCode::FAILURE };
    let caught = mutants.iter().filter(|mutant| {
        let mut each = std::process::Command::new(&own);
        each.env("HOLDFAST_MUTANT", mutant).args(["--mutant", mutant]);
        let status = each.args(["--topology", plan.topology.name()]).status();
        status.is_ok_and(|status| status.success())
    });
    let caught = caught.count();
    println!("{caught} of {} mutants were caught", mutants.len());
    if caught == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
