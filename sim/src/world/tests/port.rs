//! The port of src/js/bridge and src/js/hot decides as these do: random scripts of turns, of what the engine answers
//! at once, and of what it answers later, go through both. What both say to the engine, and what their callers get,
//! must be the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use holdfast::engine::base::clock::Ttl;
use holdfast::engine::base::random::Random;
use holdfast::engine::base::text::Json;
use holdfast::engine::call::batch::{Batch, Op, Task};
use holdfast::engine::call::reply::{Hot, Reply, Submitted};
use holdfast::engine::call::sink::{COUNTERS, PEEKED, ReplyTo, SLOTS, Sink, Versions};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::schedule::{CachePlan, ttl_of};
use crate::world::environment::Environment;
use crate::world::mailbox::Mailbox;
use crate::world::process::Native;
use crate::world::tests::{alike, settings};

const SCRIPTS: u64 = 200;
const TURNS: u64 = 48;
const KEYS: u64 = 4;

#[test]
fn the_port_and_the_javascript_decide_alike() {
    let scripts: Vec<Value> = (0..SCRIPTS).map(script).collect();
    let (mut waited, mut parts, mut peeked, mut hot) = (0, 0, 0, 0);
    for ours in alike(&scripts, "port.js", play) {
        let count = |what: &str| ours.iter().filter(|line| line[0] == what).count();
        peeked += count("peek");
        hot += ours.iter().filter(|line| line[0] == "got" && line[3] == "at once").count();
        parts += ours.windows(2).filter(|two| two[0][0] == "submit" && two[1][0] == "submit").count();
        waited += ours.iter().filter(|line| line[0] == "waits").count();
    }
    for (what, times) in [("turns that wait", waited), ("parts", parts), ("peeks", peeked), ("hot values", hot)] {
        assert!(times > 100, "{what}: only {times} times");
    }
}

/// Turns, and what the engine answers: for each batch 0 (later), 1 (at once) or 2 (some of its reads at once), and for
/// each peek whether it finds something.
fn script(seed: u64) -> Value {
    let random = Random::seeded(seed ^ 0x9027);
    let below = |most: u64| random.bits() % most;
    let key = || format!("k{}", below(KEYS));
    let keys = || (0..2 + below(3)).map(|n| format!("k{n}")).collect::<Vec<_>>();
    let mut value = 0;
    let mut call = || match below(20) {
        0..=9 => json!(["get", key()]),
        10 | 11 => json!(["getMany", keys()]),
        12 | 13 => {
            value += 1;
            json!(["set", key(), value])
        }
        14 => json!(["del", [key()]]),
        15 => json!(["del", keys()]),
        16 => json!(["expire", key(), 50]),
        17 => json!(["invalidate", "t0"]),
        18 => json!(["clear"]),
        _ => json!(["delPattern", "k*"]),
    };
    // Some scripts only read: there values stay hot, and peeks find something.
    let reads = seed.is_multiple_of(3);
    let turns: Vec<Value> = (0..TURNS)
        .map(|_| {
            let count = below(7);
            let calls: Vec<Value> = (0..count).map(|_| if reads { json!(["get", key()]) } else { call() }).collect();
            let bump = if below(3) == 0 { json!([below(KEYS)]) } else { json!([]) };
            let vouches = if below(3) == 0 { json!(null) } else { json!(below(60)) };
            json!({ "ms": below(12), "vouches": vouches, "bump": bump, "replies": below(4), "calls": calls })
        })
        .collect();
    let answers: Vec<u64> = (0..400).map(|_| below(if reads { 4 } else { 3 }).min(2)).collect();
    // In some scripts peeks find hardly anything, and become rare.
    let seldom = below(2) == 0;
    let peeks: Vec<bool> = (0..400).map(|_| below(8) < if seldom { 1 } else { 5 }).collect();
    let (window, part) = if below(4) == 0 { (16_384, 256) } else { (2 + below(8), 2 + below(3)) };
    let counters = json!({ "all": COUNTERS, "clock": SLOTS, "peeked": PEEKED });
    json!({
        "window": window, "part": part, "turns": turns, "answers": answers, "peeks": peeks, "counters": counters,
    })
}

/// An engine that answers by the script, and notes what it is asked.
struct Engine {
    said: Mutex<Vec<Value>>,
    answers: Mutex<VecDeque<u64>>,
    peeks: Mutex<VecDeque<bool>>,
    peeked: Mutex<u64>,
    /// Batches that are not answered, the replies to come of each.
    open: Mutex<VecDeque<(u32, Vec<Reply>)>>,
}

/// What a read finds, by its batch and its place there.
fn found(id: u32, at: usize) -> Reply {
    Reply::Value(Json::Shared((u64::from(id) * 100 + at as u64).to_string().as_str().into()))
}

fn hot(key: &str, text: String, ms: u64, versions: &dyn Versions) -> Hot {
    let slot: usize = key[1..].parse().unwrap();
    let version = versions.counters()[slot].load(Ordering::SeqCst);
    Hot { text: text.into(), versions: vec![(slot, version)], ttl: Ttl::Millis(ms) }
}

impl Native for Engine {
    fn submit(&self, batch: Batch, to: &ReplyTo) -> Submitted {
        let mut said = Vec::new();
        let answer = self.answers.lock().pop_front().unwrap();
        let versions = to.sink.versions().unwrap();
        let (mut replies, mut early) = (Vec::new(), Vec::new());
        for (at, op) in batch.ops.iter().enumerate() {
            let key = batch.str(op.key().unwrap());
            let reads = |early: bool, hot: bool| {
                if hot {
                    "hot"
                } else if early {
                    "early"
                } else {
                    "late"
                }
            };
            let (what, keeps) = match op {
                Op::Get { early, hot, .. } => (json!(["get", key, reads(*early, *hot)]), *hot),
                Op::Set { value, .. } => (json!(["set", key, batch.str(*value)]), false),
                Op::Del { .. } => (json!(["del", key]), false),
                Op::EndTag { .. } => (json!(["end", key]), false),
                _ => (json!(["expire", key]), false),
            };
            let read = matches!(op, Op::Get { .. });
            // As the engine: a read of a group goes with the rest.
            let alone = matches!(op, Op::Get { early: true, .. });
            let reply = if read { found(to.id, at) } else { Reply::Number(1) };
            let keeps = keeps && (to.id as usize + at).is_multiple_of(2);
            let near = || {
                let ms = 5 + u64::from(to.id % 3) * 10;
                Reply::Hot(hot(key, (u64::from(to.id) * 100 + at as u64).to_string(), ms, &*versions))
            };
            early.push(match answer {
                1 if keeps => near(),
                1 => reply.clone(),
                2 if alone && at.is_multiple_of(2) && batch.ops.len() > 1 => {
                    if keeps {
                        near()
                    } else {
                        reply.clone()
                    }
                }
                _ => Reply::Later,
            });
            said.push(what);
            replies.push(reply);
        }
        self.said.lock().push(json!(["submit", to.id, said]));
        if early.iter().all(|reply| *reply != Reply::Later) {
            return Submitted::Answered(early);
        }
        for (reply, early) in replies.iter_mut().zip(&early) {
            if *early != Reply::Later {
                *reply = Reply::Later;
            }
        }
        self.open.lock().push_back((to.id, replies));
        if early.iter().all(|reply| *reply == Reply::Later) { Submitted::Later } else { Submitted::Partly(early) }
    }

    fn run(&self, task: Task, to: &ReplyTo) -> Option<Reply> {
        let (number, text) = match task {
            Task::DelPattern(pattern) => (0, pattern),
            _ => (1, String::new()),
        };
        self.said.lock().push(json!(["run", to.id, number, text]));
        if self.answers.lock().pop_front().unwrap() == 1 {
            return Some(Reply::Number(1));
        }
        self.open.lock().push_back((to.id, vec![Reply::Number(1)]));
        None
    }

    fn peek(&self, key: &str, versions: &dyn Versions) -> Option<Hot> {
        let finds = self.peeks.lock().pop_front().unwrap();
        self.said.lock().push(json!(["peek", key, finds]));
        *self.peeked.lock() += 1;
        let number = 1_000_000 + *self.peeked.lock();
        finds.then(|| hot(key, number.to_string(), 20, versions))
    }

    fn end(&self, _mail: &Mailbox) {}
}

/// What the port decides.
fn play(script: &Value) -> Vec<Value> {
    let list = |name: &str| script[name].as_array().unwrap().clone();
    let number = |value: &Value| value.as_u64().unwrap();
    let engine = Arc::new(Engine {
        said: Mutex::default(),
        answers: Mutex::new(list("answers").iter().map(number).collect()),
        peeks: Mutex::new(list("peeks").iter().map(|value| value.as_bool().unwrap()).collect()),
        peeked: Mutex::default(),
        open: Mutex::default(),
    });
    let cache = CachePlan { space: 0, raw: false, timeout_ms: 50, near: true, stale: true };
    let (window, part) = (number(&script["window"]) as usize, number(&script["part"]) as usize);
    let settings = settings(cache, window, part);
    let mail = Arc::new(Mailbox::new());
    let mut environment = Environment::over(engine.clone(), mail.clone(), SLOTS, &cache, &settings);
    let (mut now, mut waits) = (1_000, 0);
    for turn in list("turns") {
        now += number(&turn["ms"]);
        let counters = mail.versions.counters();
        if let Some(ms) = turn["vouches"].as_u64() {
            counters[SLOTS].store((now + ms) as i32, Ordering::SeqCst);
        }
        for slot in turn["bump"].as_array().unwrap() {
            counters[number(slot) as usize].fetch_add(1, Ordering::SeqCst);
        }
        engine.said.lock().push(json!(["turn"]));
        for _ in 0..number(&turn["replies"]) {
            if let Some((id, replies)) = engine.open.lock().pop_front() {
                mail.complete(id, &replies);
            }
        }
        let mut got: Vec<(u64, Value, &str)> = Vec::new();
        environment.wake(now);
        for call in turn["calls"].as_array().unwrap() {
            make(&mut environment, call, &mut waits, now, &mut got);
        }
        environment.flush(now);
        for (waits, reply) in std::mem::take(&mut environment.answered) {
            let value = match reply {
                Reply::Value(json) => serde_json::from_str(json.as_str()).unwrap(),
                _ => json!(true),
            };
            got.push((waits, value, "later"));
        }
        got.sort_by_key(|(waits, ..)| *waits);
        let mut said = engine.said.lock();
        said.extend(got.into_iter().map(|(waits, value, how)| json!(["got", waits, value, how])));
        if environment.waits() {
            said.push(json!(["waits"]));
        }
    }
    std::mem::take(&mut *engine.said.lock())
}

/// As calls.rs makes them.
fn make(to: &mut Environment, call: &Value, waits: &mut u64, now: u64, got: &mut Vec<(u64, Value, &str)>) {
    let mut next = || {
        *waits += 1;
        *waits
    };
    let key = call[1].as_str().unwrap_or_default();
    let keys: Vec<&str> = call[1].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()).collect();
    match call[0].as_str().unwrap() {
        "get" => {
            let waits = next();
            match to.at_once(key, now) {
                Some(text) => got.push((waits, serde_json::from_str(&text).unwrap(), "at once")),
                None => to.read(key, waits, true),
            }
        }
        "getMany" => {
            to.group(keys.len());
            keys.iter().for_each(|key| to.read(key, next(), false));
        }
        "set" => {
            to.push(key, &call[2].to_string(), None, next(), |key, value, more| Op::Set {
                key,
                value,
                ttl: ttl_of(None),
                more,
            });
        }
        "del" => {
            if keys.len() > 1 {
                to.group(keys.len());
            }
            keys.iter().for_each(|key| to.push(key, "", None, next(), |key, _, _| Op::Del { key }));
        }
        "expire" => {
            let ttl = Ttl::Millis(call[2].as_u64().unwrap());
            to.push(key, "", None, next(), |key, _, _| Op::Expire { key, ttl });
        }
        "invalidate" => {
            to.group(1);
            to.push(&format!("\0tag\0{key}"), "", None, next(), |key, _, _| Op::EndTag { key, stale_ms: 0 });
            to.flush_ahead(now);
        }
        "clear" => to.run(Task::Clear { flush_db: false }, next(), now),
        _ => to.run(Task::DelPattern(key.to_owned()), next(), now),
    }
}
