//! A history as the checker on real servers takes it: `{ plan, raw }`, as check/stage/pool.js makes it. Times are
//! nanoseconds there, too, and times to live are seconds.

use serde_json::{Map, Value, json};

use crate::history::{Client, Compute, History, Key, Mode, Outcome, Place, Record, Run, State, Verb};
use crate::rules::tell::who;

pub fn told(history: &History) -> Value {
    let plan = &history.plan;
    let name = |key: &Key| plan.names[*key].clone();
    let names = |keys: &[Key]| keys.iter().map(name).collect::<Vec<_>>();
    let flushes = history.records.iter().filter(|record| record.verb == Verb::Flush).map(|_| json!({ "op": "flush" }));
    let finals = history
        .finals
        .iter()
        .map(|(key, before, after)| (name(key), json!([before.as_deref().map(latin), after.as_deref().map(latin)])));
    let left = history.left.iter().map(|(key, at)| (name(key), json!(at.map(|at| [at, at]))));
    let places = history.records.iter().map(|record| (who(record.place), json!(process(record.place))));
    let events = history.events.iter().map(|event| {
        let place = who(Place::Environment { process: event.process, thread: 0 });
        json!({ "place": place, "name": if event.fallback { "fallback" } else { "recovered" }, "at": event.at })
    });
    json!({
        "plan": {
            "keys": names(&plan.keys),
            "counters": names(&plan.counters),
            "clients": [{ "steps": [{ "calls": flushes.collect::<Vec<_>>() }] }],
        },
        "raw": {
            "processOf": places.collect::<Map<_, _>>(),
            "ops": history.records.iter().map(|record| op(record, &name)).collect::<Vec<_>>(),
            "events": events.collect::<Vec<_>>(),
            "final": finals.collect::<Map<_, _>>(),
            "left": left.collect::<Map<_, _>>(),
            "ended": history.ended.iter().map(|place| who(*place)).collect::<Vec<_>>(),
            "lost": history.lost,
        },
    })
}

fn op(record: &Record, name: &dyn Fn(&Key) -> String) -> Value {
    let mut op = verb(&record.verb, name);
    let more = json!({
        "place": who(record.place),
        "client": match record.client {
            Client::Plan(number) => format!("client {number}"),
            Client::Chase => "chase".into(),
            Client::Settle => "settle".into(),
        },
        "seq": record.seq,
        "before": state(record.before),
        "start": record.start,
        "end": record.end,
    });
    extend(&mut op, more);
    if let Some(after) = record.after {
        extend(&mut op, json!({ "after": state(after) }));
    }
    if matches!(record.verb, Verb::Compute(_)) {
        extend(&mut op, json!({ "runs": record.runs.iter().map(|each| run(each, name)).collect::<Vec<_>>() }));
    }
    let settled = match &record.outcome {
        _ if record.end.is_none() => json!({}),
        Outcome::Error(error) => json!({ "error": error }),
        Outcome::None | Outcome::Done => json!({ "result": null }),
        Outcome::Value(value) => json!({ "result": value }),
        Outcome::Values(values) => json!({ "result": values }),
        Outcome::Flag(flag) => json!({ "result": flag }),
        Outcome::Number(number) => json!({ "result": number }),
        Outcome::Found(bytes, millis) => json!({ "result": [bytes.as_deref().map(latin), millis] }),
    };
    extend(&mut op, settled);
    op
}

fn verb(verb: &Verb, name: &dyn Fn(&Key) -> String) -> Value {
    let names = |keys: &[Key]| keys.iter().map(name).collect::<Vec<_>>();
    match verb {
        Verb::Get { key } => json!({ "op": "get", "key": name(key) }),
        Verb::Sync { key } => json!({ "op": "sync", "key": name(key) }),
        Verb::GetMany { keys } => json!({ "op": "getMany", "keys": names(keys) }),
        Verb::Set { key, value, ttl, tag } => {
            json!({ "op": "set", "key": name(key), "value": value, "ttl": seconds(*ttl), "tag": tag_name(*tag) })
        }
        Verb::Del { keys } => json!({ "op": "del", "keys": names(keys) }),
        Verb::Increment { key, amount } => json!({ "op": "increment", "key": name(key), "amount": amount }),
        Verb::Invalidate { tag } => json!({ "op": "invalidate", "tag": tag_name(Some(*tag)) }),
        Verb::Sweep { pattern } => json!({ "op": "sweep", "pattern": pattern }),
        Verb::Expire { key, ttl } => json!({ "op": "expire", "key": name(key), "ttl": seconds(Some(*ttl)) }),
        Verb::Compute(compute) => computes(compute, name),
        Verb::Flush => json!({ "op": "flush" }),
        Verb::Probe { key } => json!({ "op": "probe", "key": name(key) }),
    }
}

fn computes(compute: &Compute, name: &dyn Fn(&Key) -> String) -> Value {
    let mut op = json!({
        "op": if compute.many { "computeMany" } else { "compute" },
        "value": compute.value,
        "ttl": seconds(compute.ttl),
        "tag": tag_name(compute.tag),
        "lock": compute.lock,
        "ms": compute.ms,
    });
    let keys: Vec<_> = compute.keys.iter().map(name).collect();
    extend(&mut op, if compute.many { json!({ "keys": keys }) } else { json!({ "key": keys[0] }) });
    op
}

fn run(run: &Run, name: &dyn Fn(&Key) -> String) -> Value {
    let mut told =
        json!({ "key": name(&run.key), "value": run.value, "start": run.start, "before": state(run.before) });
    if let (Some(end), Some(after)) = (run.end, run.after) {
        extend(&mut told, json!({ "end": end, "after": state(after) }));
    }
    if let Some((at, settled)) = run.landed {
        extend(&mut told, json!({ "landed": at, "settled": state(settled) }));
    }
    told
}

fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}

fn state(State { mode, since }: State) -> Value {
    let mode = match mode {
        Mode::Initializing => "initializing",
        Mode::Redis => "redis",
        Mode::Memory | Mode::Partly => "memory",
        Mode::Foreign => "foreign",
    };
    json!([mode, since])
}

fn process(place: Place) -> String {
    match place {
        Place::Environment { process, .. } => who(Place::Environment { process, thread: 0 }),
        Place::Foreign => who(place),
    }
}

fn tag_name(tag: Option<usize>) -> Option<String> {
    tag.map(|tag| format!("t{tag}"))
}

fn seconds(ttl: Option<u64>) -> Option<f64> {
    ttl.map(|ttl| ttl as f64 / 1_000.0)
}

/// Each byte as the character of its number.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
