//! Tells a violation as a story: who did what when, what was on its way meanwhile, and which rule it breaks.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::history::{Compute, History, Key, MILLI, Nanos, Outcome, Place, Record, Verb};
use crate::rules::Violation;
use crate::schedule::{HARD_TIMEOUT, Schedule};

/// What the world noted while it ran: moments, and what happened then.
pub type Trace = Vec<(Nanos, String)>;

/// The story of the first violation.
pub fn story(schedule: &Schedule, history: &History, found: &[Violation], trace: &Trace) -> String {
    let mut text = String::new();
    let Some(violation) = found.first() else { return text };
    let shown: BTreeSet<usize> = violation.records.iter().copied().collect();
    let mut lines: Vec<(Nanos, String)> = trace.clone();
    for (at, record) in history.records.iter().enumerate() {
        let mark = if shown.contains(&at) { ">" } else { " " };
        let who = who(record.place);
        lines.push((record.start, format!("{mark} {who} calls {}", call(history, record))));
        for run in &record.runs {
            let name = name(history, run.key);
            lines.push((run.start, format!("{mark} {who} computes {name} = {}", run.value)));
        }
        if let Some(end) = record.end.filter(|end| *end > record.start) {
            lines.push((end, format!("{mark} {who} has {} from {}", result(&record.outcome), call(history, record))));
        } else if record.end.is_some() && record.outcome != Outcome::Done {
            lines.push((record.start, format!("{mark} {who} has {} at once", result(&record.outcome))));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let last = shown.iter().filter_map(|at| history.records.get(*at)?.end).max().unwrap_or(Nanos::MAX);
    for (at, line) in lines.into_iter().take_while(|(at, _)| *at <= last.saturating_add(MILLI)) {
        let _ = writeln!(text, "{:>10.3} ms  {line}", at as f64 / MILLI as f64);
    }
    let _ = writeln!(text, "\n{}: {}", violation.guarantee, violation.text);
    let _ =
        writeln!(text, "(lines with > are the calls that show it; theme {}, {:?})", schedule.theme, schedule.settings);
    text
}

/// As the checker on real servers names places: a process, and + for its worker thread.
pub fn who(place: Place) -> String {
    match place {
        Place::Environment { process, thread } => {
            let process = (b'a' + process as u8) as char;
            format!("{process}{}", "+".repeat(thread))
        }
        Place::Foreign => "foreign".to_owned(),
    }
}

fn name(history: &History, key: Key) -> &str {
    history.plan.names.get(key).map_or("?", String::as_str)
}

fn call(history: &History, record: &Record) -> String {
    let name = |key: &Key| name(history, *key);
    let names = |keys: &[Key]| keys.iter().map(name).collect::<Vec<_>>().join(", ");
    let tagged = |tag: &Option<usize>| tag.map_or(String::new(), |tag| format!(" with tag t{tag}"));
    let lives = |ttl: &Option<u64>| ttl.map_or("for ever".to_owned(), |ttl| format!("for {ttl} ms"));
    match &record.verb {
        Verb::Get { key } | Verb::Sync { key } => format!("get {}", name(key)),
        Verb::GetMany { keys } => format!("getMany {}", names(keys)),
        Verb::Set { key, value, ttl, tag } => format!("set {} = {value} {}{}", name(key), lives(ttl), tagged(tag)),
        Verb::Del { keys } => format!("del {}", names(keys)),
        Verb::Increment { key, amount } => format!("increment {} by {amount}", name(key)),
        Verb::Invalidate { tag } => format!("invalidateTags t{tag}"),
        Verb::Sweep { pattern: Some(pattern) } => format!("delPattern {pattern}"),
        Verb::Sweep { pattern: None } => "clear".to_owned(),
        Verb::Expire { key, ttl } => format!("expire {} in {ttl} ms", name(key)),
        Verb::Compute(Compute { keys, ttl, tag, lock, ms, swr, grace, timeout, hard, fails, .. }) => {
            let mut text = format!("getOrCompute {} in {ms} ms {}{}", names(keys), lives(ttl), tagged(tag));
            let words = [
                (*swr > 0, format!(", swr {swr}")),
                (*grace > 0, format!(", grace {grace}")),
                (timeout.is_some(), format!(", timeout {}", timeout.unwrap_or_default())),
                (*hard != HARD_TIMEOUT, format!(", hardTimeout {hard}")),
            ];
            words.iter().filter(|(said, _)| *said).for_each(|(_, word)| text.push_str(word));
            text.push_str(if *lock { "" } else { ", without lock" });
            text.push_str(if *fails { ", and fails" } else { "" });
            text
        }
        Verb::Flush => "FLUSHALL".to_owned(),
        Verb::Probe { key } => format!("a look at {}", name(key)),
    }
}

fn result(outcome: &Outcome) -> String {
    match outcome {
        Outcome::None => "nothing".to_owned(),
        Outcome::Value(None) => "null".to_owned(),
        Outcome::Value(Some(value)) => value.to_string(),
        Outcome::Values(values) => {
            let texts: Vec<String> =
                values.iter().map(|value| value.map_or("null".to_owned(), |v| v.to_string())).collect();
            format!("[{}]", texts.join(", "))
        }
        Outcome::Flag(flag) => flag.to_string(),
        Outcome::Number(number) => number.to_string(),
        Outcome::Done => "its answer".to_owned(),
        Outcome::Found(bytes, left) => {
            let bytes = bytes.as_ref().map_or("nothing".into(), |bytes| String::from_utf8_lossy(bytes).into_owned());
            format!("{bytes}, {left} ms left")
        }
        Outcome::Error(code) => format!("the error {code}"),
    }
}
