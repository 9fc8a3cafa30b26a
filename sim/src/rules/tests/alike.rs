//! The rules here and those of the checker on real servers judge alike. Needs `node`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{json, random};
use crate::rules::check;

const HISTORIES: u64 = 3_000;
/// What rules say, by words of theirs: each must have had something to say.
const SAID: [&str; 20] = [
    "never settled",
    "rejected",
    "nobody wrote there",
    "before it was written",
    "older than its own",
    "after a reply of the server",
    "which replaced it",
    "while Redis was away",
    "computed while",
    "ms too late",
    "which nobody gave it",
    "although nothing took",
    "and Redis has",
    "in the end",
    "no sum",
    "times",
    "was not made",
    "that it began with",
    "that had resolved does not count",
    "keys of others are gone",
];

/// A guarantee, and the records that show its violation.
type Said = (String, Vec<usize>);

#[test]
fn both_checkers_find_the_same_in_random_histories() {
    let histories: Vec<_> = (0..HISTORIES).map(random::history).collect();
    let lines = histories.iter().map(|history| format!("{}\n", json::told(history))).collect::<String>();
    let told = judged(lines);
    assert_eq!(told.len(), histories.len());
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for (seed, (history, theirs)) in histories.iter().zip(&told).enumerate() {
        let found = check(history);
        for violation in &found {
            for words in SAID.iter().filter(|words| violation.text.contains(**words)) {
                *times.entry(words).or_default() += 1;
            }
        }
        let at = |records: &[usize]| records.last().map_or(u64::MAX, |at| history.records[*at].start);
        assert!(found.is_sorted_by_key(|violation| at(&violation.records)), "the earliest first");
        let mut ours: Vec<Said> = found.iter().map(|each| (each.guarantee.to_string(), each.records.clone())).collect();
        let mut theirs: Vec<Said> = theirs.as_array().unwrap().iter().map(said).collect();
        ours.sort();
        theirs.sort();
        let only = |these: &[Said], those: &[Said]| {
            these.iter().filter(|each| !those.contains(each)).cloned().collect::<Vec<_>>()
        };
        let differ = (only(&ours, &theirs), only(&theirs, &ours));
        assert!(ours == theirs, "seed {seed}: only here {:?}, only there {:?}", differ.0, differ.1);
    }
    for words in SAID {
        assert!(times.get(words).is_some_and(|times| *times >= 20), "«{words}» was said too rarely: {times:?}");
    }
}

fn said(violation: &Value) -> Said {
    let records = violation[1].as_array().unwrap().iter().map(|at| at.as_u64().unwrap() as usize);
    (violation[0].as_str().unwrap().to_string(), records.collect())
}

/// What the checker's rules find in each of these lines.
fn judged(lines: String) -> Vec<Value> {
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules/tests/judge.js");
    let mut node = Command::new("node").arg(judge).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = node.stdin.take().unwrap();
    let writes = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writes.join().unwrap().unwrap();
    assert!(output.status.success());
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}
