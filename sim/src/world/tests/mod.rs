//! Tests of the port of the JavaScript: scripts go through the port and through the modules of src/js. Need `node`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::schedule::{CachePlan, Settings};

mod once;
mod port;

/// The settings of an environment by itself.
fn settings(cache: CachePlan, window: usize, part: usize) -> Settings {
    Settings {
        caches: [cache; 3],
        raw_keys: Vec::new(),
        window,
        part,
        resp2: false,
        cluster: false,
        sentinels: false,
        walled: false,
        tracked: None,
        max_age: None,
    }
}

/// Compares what both said, script by script; what the port said.
fn alike(scripts: &[Value], player: &str, play: impl Fn(&Value) -> Vec<Value>) -> Vec<Vec<Value>> {
    let theirs = decided(player, scripts.iter().map(|script| format!("{script}\n")).collect());
    assert_eq!(theirs.len(), scripts.len());
    let compare = |(seed, (script, theirs)): (usize, (&Value, &Value))| {
        let ours = play(script);
        let theirs = theirs.as_array().unwrap();
        for (at, (our, their)) in ours.iter().zip(theirs).enumerate() {
            let before = &ours[at.saturating_sub(6)..at];
            assert_eq!(our, their, "script {seed}, line {at}, behind {before:?}");
        }
        assert_eq!(ours.len(), theirs.len(), "script {seed}");
        ours
    };
    scripts.iter().zip(&theirs).enumerate().map(compare).collect()
}

/// What the JavaScript decides, script by script.
fn decided(player: &str, lines: String) -> Vec<Value> {
    let player = format!("{}/src/world/tests/{player}", env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node").arg(player).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = node.stdin.take().unwrap();
    let writes = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writes.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}
