//! Violations, and how they are told.

use super::facts::{Facts, Read};
use crate::history::{Key, Place, Verb};

/// Something that a guarantee rules out.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    pub guarantee: &'static str,
    pub text: String,
    /// The records that show it; the last one is the call that it befell.
    pub records: Vec<usize>,
}

/// The violations so far.
#[derive(Default)]
pub struct Found(pub Vec<Violation>);

impl Found {
    pub fn tell<const N: usize>(
        &mut self,
        guarantee: &'static str,
        records: [usize; N],
        text: impl FnOnce() -> String,
    ) {
        self.tell_all(guarantee, records.to_vec(), text);
    }

    pub fn tell_all(&mut self, guarantee: &'static str, records: Vec<usize>, text: impl FnOnce() -> String) {
        self.0.push(Violation { guarantee, text: text(), records });
    }
}

pub fn show(facts: &Facts, read: &Read, value: i64) -> String {
    format!("{} read {} = {value}", place(facts, read.record), key(facts, read.key))
}

pub fn key(facts: &Facts, key: Key) -> String {
    facts.history.plan.names.get(key).cloned().unwrap_or_else(|| format!("key {key}"))
}

/// Where a call was made.
pub fn place(facts: &Facts, at: usize) -> String {
    who(facts.record(at).place)
}

/// As the reports of the other checker have it: `a` and `a+` are an environment and another one of the same process.
pub fn who(place: Place) -> String {
    let Place::Environment { process, thread } = place else { return "foreign".to_string() };
    let letter = char::from_u32('a' as u32 + process as u32).filter(char::is_ascii_lowercase);
    let process = letter.map_or_else(|| format!("process {process}"), String::from);
    match thread {
        0 => process,
        1 => format!("{process}+"),
        more => format!("{process}+{more}"),
    }
}

/// The name of a call, as the interface has it.
pub fn name(facts: &Facts, at: usize) -> String {
    let name = match &facts.record(at).verb {
        Verb::Get { .. } => "get",
        Verb::Sync { .. } => "sync",
        Verb::GetMany { .. } => "getMany",
        Verb::Set { .. } => "set",
        Verb::Del { .. } => "del",
        Verb::Increment { .. } => "increment",
        Verb::Invalidate { .. } => "invalidate",
        Verb::Sweep { pattern: Some(pattern) } => return format!("delPattern {pattern}"),
        Verb::Sweep { pattern: None } => "clear",
        Verb::Expire { .. } => "expire",
        Verb::Compute(compute) if compute.many => "computeMany",
        Verb::Compute(_) => "compute",
        Verb::Flush => "flush",
        Verb::Probe { .. } => "probe",
    };
    name.to_string()
}
