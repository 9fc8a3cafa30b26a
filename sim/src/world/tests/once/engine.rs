//! An engine that answers by the script, and notes what it is asked.

use std::collections::{BTreeMap, VecDeque};

use holdfast::engine::base::clock::Ttl;
use holdfast::engine::base::error::CallError;
use holdfast::engine::base::text::Json;
use holdfast::engine::call::batch::{Batch, Extras, Op, Task, Why};
use holdfast::engine::call::reply::{Hot, Reply, Submitted};
use holdfast::engine::call::sink::{ReplyTo, Sink, Versions};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::{ms_of, version};
use crate::world::mailbox::Mailbox;
use crate::world::process::Native;

pub struct Engine(Mutex<State>);

#[derive(Default)]
struct State {
    said: Vec<Value>,
    answers: VecDeque<Value>,
    at_once: VecDeque<bool>,
    refused: VecDeque<bool>,
    peeks: VecDeque<bool>,
    open: Vec<(u32, Vec<Reply>)>,
    waiting: Vec<(u32, String)>,
    tokens: u32,
    values: u64,
    /// Tokens of flights that callers may be told to follow, by key.
    leads: BTreeMap<String, Vec<u32>>,
}

impl Engine {
    pub fn new(script: &Value) -> Self {
        let list = |name: &str| script[name].as_array().unwrap().iter();
        let flags = |name: &str| list(name).map(|flag| flag.as_bool().unwrap()).collect();
        Self(Mutex::new(State {
            answers: list("answers").cloned().collect(),
            at_once: flags("atOnce"),
            refused: flags("refused"),
            peeks: flags("peeks"),
            values: 1_000_000,
            ..State::default()
        }))
    }

    pub fn say(&self, line: Value) {
        self.0.lock().said.push(line);
    }

    pub fn said(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().said)
    }

    /// What comes in a turn.
    pub fn reply(&self, turn: &Value, mail: &Mailbox) {
        let mut state = self.0.lock();
        for pick in turn["replies"].as_array().unwrap() {
            if !state.open.is_empty() {
                let at = pick.as_u64().unwrap() as usize % state.open.len();
                let (id, replies) = state.open.remove(at);
                mail.complete(id, &replies);
            }
        }
        for late in turn["late"].as_array().unwrap() {
            if !state.waiting.is_empty() {
                let at = late[0].as_u64().unwrap() as usize % state.waiting.len();
                let (waiter, key) = state.waiting.remove(at);
                let reply = state.answer(&key, waiter, &late[1]);
                mail.complete(waiter, &[reply]);
            }
        }
    }
}

impl State {
    fn value(&mut self) -> String {
        self.values += 1;
        self.values.to_string()
    }

    fn answer(&mut self, key: &str, waiter: u32, answer: &Value) -> Reply {
        let n = answer[1].as_i64().unwrap();
        let leads = self.leads.entry(key.to_owned()).or_default();
        match answer[0].as_str().unwrap() {
            "hit" => Reply::Hit(Json::Owned(self.value())),
            "follow" if leads.len() as i64 > n => Reply::Follow(leads[leads.len() - 1 - n as usize]),
            "lost" => Reply::Follow(4_000_000 + n as u32),
            "wait" => {
                self.waiting.push((waiter, key.to_owned()));
                Reply::Wait
            }
            "nothing" => Reply::Nothing,
            "again" => Reply::Again,
            "stale" => Reply::Stale(Json::Owned(self.value())),
            "elsewhere" => Reply::Elsewhere,
            "error" => Reply::Error(CallError::invalid_key("refused")),
            what => {
                self.tokens += 1;
                leads.push(self.tokens);
                let token = self.tokens;
                if what == "over" {
                    Reply::LeadOver(token, n, self.value().as_str().into())
                } else {
                    Reply::Lead(token)
                }
            }
        }
    }

    /// A flight is told to be over; now and then it may still be followed.
    fn over(&mut self, key: &str, token: u32) {
        if !token.is_multiple_of(4) {
            self.leads.entry(key.to_owned()).or_default().retain(|other| *other != token);
        }
    }

    fn operate(&mut self, batch: &Batch, op: &Op) -> (Value, Reply) {
        let key = batch.str(op.key().unwrap()).to_owned();
        let said = match *op {
            Op::Del { .. } => json!(["del", key]),
            Op::Begin { waiter, lock, many, more, .. } => {
                let answer = self.answers.pop_front().unwrap();
                let reply = self.answer(&key, waiter, &answer);
                let extras = more.map(|_| members(batch.more(more)));
                return (json!(["begin", key, waiter, lock, many, extras]), reply);
            }
            Op::End { value, ttl, token, more, .. } => {
                self.over(&key, token);
                let extras = more.map(|_| members(batch.more(more)));
                let said = json!(["end", key, batch.str(value), ms_of(ttl), token, extras]);
                let refused = CallError::new("ERR_VALUE_TOO_LARGE", "refused");
                let reply = if self.refused.pop_front().unwrap() { Reply::Error(refused) } else { Reply::Done };
                return (said, reply);
            }
            Op::Abandon { token, why, .. } => {
                self.over(&key, token);
                let why = match why {
                    Why::Failed => "failed",
                    Why::Nothing => "nothing",
                    Why::Left => "left",
                };
                json!(["abandon", key, why, token])
            }
            Op::Overdue { token, .. } => json!(["overdue", key, token]),
            Op::Withdraw { waiter, .. } => {
                self.waiting.retain(|(other, _)| *other != waiter);
                json!(["withdraw", key, waiter])
            }
            _ => json!(["unknown"]),
        };
        (said, Reply::Done)
    }
}

/// Extras, as they cross from JavaScript.
fn members(extras: &Extras) -> Value {
    let Extras { tags, window, beta, extra, delta, .. } = extras;
    let mut members = Map::new();
    if !tags.is_empty() {
        members.insert("tags".to_owned(), json!(tags));
    }
    let numbers = [("window", *window as f64), ("beta", *beta), ("extra", *extra as f64), ("delta", f64::from(*delta))];
    for (name, number) in numbers {
        if number != 0.0 {
            members.insert(name.to_owned(), json!(number as u64));
        }
    }
    Value::Object(members)
}

impl Native for Engine {
    fn submit(&self, batch: Batch, to: &ReplyTo) -> Submitted {
        let mut state = self.0.lock();
        let (said, replies): (Vec<Value>, Vec<Reply>) = batch.ops.iter().map(|op| state.operate(&batch, op)).unzip();
        state.said.push(json!(["submit", to.id, said]));
        if state.at_once.pop_front().unwrap() {
            return Submitted::Answered(replies);
        }
        state.open.push((to.id, replies));
        Submitted::Later
    }

    fn run(&self, _task: Task, _to: &ReplyTo) -> Option<Reply> {
        None
    }

    fn peek(&self, key: &str, versions: &dyn Versions) -> Option<Hot> {
        let mut state = self.0.lock();
        let finds = state.peeks.pop_front().unwrap();
        state.said.push(json!(["peek", key, finds]));
        finds.then(|| Hot { text: state.value().into(), versions: vec![version(key, versions)], ttl: Ttl::Millis(20) })
    }

    fn end(&self, _mail: &Mailbox) {}
}
