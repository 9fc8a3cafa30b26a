//! The port of src/js/once decides as it does: random scripts of calls, of what their functions do, and of what the
//! engine answers when, go through both. What both say to the engine, and what their callers get, must be the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use holdfast::engine::base::clock::Ttl;
use holdfast::engine::base::random::Random;
use holdfast::engine::call::sink::{COUNTERS, PEEKED, SLOTS, Versions};
use serde_json::{Value, json};

use crate::history::{Client, Compute, MILLI, Outcome, Plan, Verb};
use crate::schedule::{CachePlan, ClientPlan, PART, PLACES, Schedule, WINDOW};
use crate::world::computing::Go;
use crate::world::environment::Environment;
use crate::world::mailbox::Mailbox;
use crate::world::tests::{alike, settings};
use crate::world::{Event, World};

mod engine;

const SCRIPTS: u64 = 400;
const TURNS: u64 = 40;
const KEYS: u64 = 3;
/// What the scripts must have met, and how often at least.
const MET: u64 = 100;

#[test]
fn the_port_of_once_and_the_javascript_decide_alike() {
    let scripts: Vec<Value> = (0..SCRIPTS).map(script).collect();
    let ours = alike(&scripts, "once.js", play);
    let mut met: BTreeMap<String, u64> = BTreeMap::new();
    for line in ours.iter().flatten() {
        let mut note = |what: &Value| *met.entry(what.as_str().unwrap_or("a value").to_owned()).or_default() += 1;
        match line[0].as_str().unwrap() {
            "submit" => line[2].as_array().unwrap().iter().for_each(|op| {
                note(&op[0]);
                if op[0] == "abandon" {
                    note(&op[2]);
                }
            }),
            "got" if line[2].is_array() => note(&json!("several values")),
            "got" => note(&line[2]),
            _ => {}
        }
    }
    let ops = ["begin", "end", "overdue", "withdraw", "failed", "nothing", "left"];
    // No caller hears of a store that is refused: it has its value before.
    let got = ["a value", "several values", "threw", "ERR_COMPUTE_TIMEOUT", "ERR_INVALID_KEY"];
    for what in ops.into_iter().chain(got) {
        let times = met.get(what).copied().unwrap_or_default();
        assert!(times > MET, "{what}: only {times} times");
    }
}

/// Turns, and what the engine answers. In one turn replies come, or calls are made, or time passes: in a real event
/// loop each of these has a turn of its own.
fn script(seed: u64) -> Value {
    let random = Random::seeded(seed ^ 0x0CE);
    let below = |most: u64| random.bits() % most;
    // Some scripts have calls of one key alone, and some have one key.
    let (several, keys) = (below(4), 1 + below(KEYS));
    let mut value = 0;
    let mut call = |patient: bool| {
        value += 10;
        let many = below(4) < several;
        let keys: Vec<String> = if many {
            (0..KEYS).filter(|_| below(3) > 0).map(|key| format!("k{key}")).collect()
        } else {
            vec![format!("k{}", below(keys))]
        };
        let chance = |one_in: u64, value: u64| if below(one_in) == 0 { json!(value) } else { json!(null) };
        let or = |one_in: u64, value: u64| if below(one_in) == 0 { value } else { 0 };
        // Some functions return in time, some late, and some when nobody expects it any more.
        let ms = [1 + below(10), 1 + below(40), 50 + below(200)][below(3) as usize];
        json!({
            "keys": keys, "many": many, "value": value, "ttl": if below(8) == 0 { json!(null) } else { json!(30) },
            "tag": chance(4, below(2)), "lock": below(4) > 0, "ms": ms, "swr": or(3, 1 + below(40)),
            "grace": or(2, 1 + below(60)), "timeout": chance(2, 1 + below(20)),
            "hard": if patient { 30_000 } else { 1 + below(60) }, "early": or(6, 1) as f64,
            "fails": below(5) == 0, "nothing": below(8) == 0,
        })
    };
    let patient = below(3) == 0;
    let turns: Vec<Value> = (0..TURNS)
        .map(|_| {
            let what = below(4);
            let count = |kind: bool, most: u64| if kind { 1 + below(most) } else { 0 };
            let calls: Vec<Value> = (0..count(what == 0, 4)).map(|_| call(patient)).collect();
            let replies: Vec<u64> =
                (0..count(what == 1, 4)).map(|_| if below(3) == 0 { below(4) } else { 0 }).collect();
            let late: Vec<Value> =
                (0..if what == 1 { below(3) } else { 0 }).map(|_| json!([below(4), answer(&below, true)])).collect();
            let vouches = if below(3) == 0 { json!(null) } else { json!(below(60)) };
            let bump = if below(6) == 0 { json!([below(KEYS)]) } else { json!([]) };
            json!({
                "calls": calls, "replies": replies, "late": late, "ms": count(what > 1, 30), "vouches": vouches,
                "bump": bump,
            })
        })
        .collect();
    let often = below(4);
    json!({
        "turns": turns,
        "answers": (0..2_000).map(|_| answer(&below, false)).collect::<Vec<_>>(),
        "atOnce": (0..500).map(|_| below(8) < often).collect::<Vec<_>>(),
        "refused": (0..500).map(|_| below(12) == 0).collect::<Vec<_>>(),
        "peeks": (0..500).map(|_| below(4) == 0).collect::<Vec<_>>(),
        "counters": { "all": COUNTERS, "clock": SLOTS, "peeked": PEEKED }, "window": WINDOW, "part": PART,
    })
}

/// What the engine answers to one question; what it `late`r gives to one who waits is never to wait.
fn answer(below: &impl Fn(u64) -> u64, late: bool) -> Value {
    match below(24) {
        0..=5 => json!(["lead", 0]),
        6..=8 => json!(["over", below(80) as i64 - 10]),
        9..=13 => json!(["follow", below(2)]),
        14 => json!(["lost", below(9)]),
        15..=18 if !late => json!(["wait", 0]),
        19 => json!(["stale", 0]),
        20 => json!(["elsewhere", 0]),
        21 => json!(["nothing", 0]),
        22 => json!(["again", 0]),
        23 if !late && below(2) == 0 => json!(["error", 0]),
        _ => json!(["hit", 0]),
    }
}

/// What the port decides.
fn play(script: &Value) -> Vec<Value> {
    let number = |value: &Value| value.as_u64().unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let engine = Arc::new(engine::Engine::new(script));
    let mail = Arc::new(Mailbox::new());
    let mut world = over(engine.clone(), mail.clone());
    let (mut told, mut due) = (Vec::new(), Due::new());
    for turn in list(&script["turns"]) {
        engine.say(json!(["turn"]));
        let counters = mail.versions.counters();
        if let Some(ms) = turn["vouches"].as_u64() {
            counters[SLOTS].store((world.ms() + ms) as i32, Ordering::SeqCst);
        }
        for slot in list(&turn["bump"]) {
            counters[number(&slot) as usize].fetch_add(1, Ordering::SeqCst);
        }
        engine.reply(&turn, &mail);
        for call in list(&turn["calls"]) {
            world.make(Verb::Compute(compute(&call)), 0, Client::Plan(0));
        }
        world.turn(0);
        let until = world.now / MILLI + number(&turn["ms"]);
        pass(&mut world, &mut due, until);
        told.resize(world.records.len(), false);
        for (at, record) in world.records.iter().enumerate() {
            if record.end.is_some() && !std::mem::replace(&mut told[at], true) {
                engine.say(json!(["got", at, got(&record.outcome)]));
            }
        }
    }
    engine.said()
}

/// A world whose first environment has this engine.
fn over(engine: Arc<engine::Engine>, mail: Arc<Mailbox>) -> World {
    let cache = CachePlan { space: 0, raw: false, timeout_ms: 50, near: true, stale: true };
    let settings = settings(cache, WINDOW, PART);
    let plan = Plan { names: (0..KEYS).map(|key| format!("k{key}")).collect(), ..Plan::default() };
    let clients = vec![ClientPlan { place: PLACES[0], steps: Vec::new() }];
    let schedule = Schedule { seed: 1, index: 0, theme: "", plan, clients, faults: Vec::new(), settings };
    let mut world = World::new(schedule);
    world.environments[0] = Environment::over(engine, mail, SLOTS, &cache, &world.schedule.settings);
    // It never comes to its next step.
    world.clients[0].left = usize::MAX;
    world
}

/// What is planned: the millisecond, whether a function returns, and its number.
type Due = BTreeMap<(u64, bool, usize), (u64, Event)>;

/// Time passes, until this millisecond: what is due in one millisecond goes on in one turn.
fn pass(world: &mut World, due: &mut Due, until: u64) {
    loop {
        while let Some((at, event)) = world.agenda.next() {
            if let Event::Computing(_, go) = event {
                let number = due.keys().map(|(.., number)| number + 1).max().unwrap_or(0);
                // Functions behind the timers of the same moment.
                due.insert((at / MILLI, matches!(go, Go::Returned(_)), number), (at, event));
            }
        }
        let Some(first) = due.keys().next().map(|(ms, ..)| *ms).filter(|first| *first <= until) else { break };
        let later = due.split_off(&(first + 1, false, 0));
        for (at, event) in std::mem::replace(due, later).into_values() {
            world.now = world.now.max(at);
            world.happen(event);
        }
        world.turn(0);
    }
    world.now = world.now.max(until * MILLI);
}

/// The call of a script.
fn compute(call: &Value) -> Compute {
    let number = |name: &str| call[name].as_u64().unwrap();
    let keys = call["keys"].as_array().unwrap().iter();
    let flag = |name: &str| call[name].as_bool().unwrap();
    Compute {
        keys: keys.map(|key| key.as_str().unwrap()[1..].parse().unwrap()).collect(),
        many: flag("many"),
        value: call["value"].as_i64().unwrap(),
        ttl: call["ttl"].as_u64(),
        tag: call["tag"].as_u64().map(|tag| tag as usize),
        lock: flag("lock"),
        ms: number("ms"),
        swr: number("swr"),
        grace: number("grace"),
        timeout: call["timeout"].as_u64(),
        hard: number("hard"),
        early: call["early"].as_f64().unwrap(),
        fails: flag("fails"),
        nothing: flag("nothing"),
    }
}

/// What a caller gets, as the other half says it.
fn got(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Value(value) => json!(value),
        Outcome::Values(values) => json!(values),
        Outcome::Error(code) => json!(code),
        Outcome::Done => json!("threw"),
        _ => json!("nothing"),
    }
}

/// A TTL, as the other half says it.
fn ms_of(ttl: Ttl) -> Value {
    match ttl {
        Ttl::Millis(ms) => json!(ms),
        Ttl::Forever => json!(null),
    }
}

/// The versions of a key.
fn version(key: &str, versions: &dyn Versions) -> (usize, i32) {
    let slot: usize = key[1..].parse().unwrap();
    (slot, versions.counters()[slot].load(Ordering::SeqCst))
}
