//! The real server and the model side by side: what is done to one is done to the other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use holdfast::engine::net::resp::{Message, Parser};
use redis::Value;

use crate::server::tests::real::{Heard, Real, Wire, packed, taken};
use crate::server::{Faults, Id, Server};

pub type Words = Vec<Vec<u8>>;

/// Words from texts.
pub fn words(texts: &[&str]) -> Words {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

struct Both {
    wire: Wire,
    id: Id,
}

pub struct Pair {
    pub real: Real,
    pub admin: Wire,
    pub model: Server,
    connections: BTreeMap<usize, Both>,
    begun: Instant,
    /// What was done, for who reads the failure.
    story: Vec<String>,
}

impl Pair {
    pub fn new(seed: u64) -> Self {
        let (real, admin) = Real::start();
        let begun = Instant::now();
        Self {
            real,
            admin,
            model: Server::new(seed),
            connections: BTreeMap::new(),
            begun,
            story: vec![format!("seed {seed}")],
        }
    }

    /// Milliseconds; not near zero, as no clock is.
    fn now(&self) -> u64 {
        1_000_000 + u64::try_from(self.begun.elapsed().as_millis()).expect("a short test")
    }

    /// Connects anew under a name.
    pub fn connect(&mut self, name: usize) {
        self.story.push(format!("{name} connects"));
        if let Some(old) = self.connections.remove(&name) {
            self.model.closed(old.id);
        }
        let mut wire = self.real.connect();
        // The server's own count stands where the tests brought it.
        wire.send(&packed(&words(&["CLIENT", "ID"])));
        let number = match wire.hear(1).pop().map(|heard| heard.message) {
            Some(Message::Reply(Value::Int(number))) => u64::try_from(number).expect("a number"),
            other => panic!("{other:?}"),
        };
        self.model.last_number = number - 1;
        let id = self.model.connect(self.now());
        self.connections.insert(name, Both { wire, id });
    }

    pub fn is_open(&self, name: usize) -> bool {
        self.connections.get(&name).is_some_and(|both| self.model.is_open(both.id))
    }

    /// Connects anew, and does not ask for the number: the model must know it by itself.
    pub fn connect_unasked(&mut self, name: usize) {
        self.story.push(format!("{name} connects"));
        let wire = self.real.connect();
        let id = self.model.connect(self.now());
        self.connections.insert(name, Both { wire, id });
    }

    /// A command to which both must say the same; the other connections hear nothing of it.
    pub fn send_alone(&mut self, name: usize, command: &Words) {
        self.story.push(format!("{name}: {}", readable(command)));
        let now = self.now();
        let bytes = packed(command);
        let both = self.connections.get_mut(&name).expect("connected");
        both.wire.send(&bytes);
        self.model.receive(both.id, &bytes, now);
        let heard = both.wire.hear(1);
        let modelled = taken(&mut Parser::default(), &mut self.model.output(both.id));
        self.compare(name, &heard, &modelled);
    }

    /// Whether commands of a connection are queued and not executed.
    pub fn is_queueing(&self, name: usize) -> bool {
        self.connections.get(&name).is_some_and(|both| self.model.clients[both.id].transaction.is_some())
    }

    pub fn number(&self, name: usize) -> Option<u64> {
        let id = self.connections.get(&name)?.id;
        Some(self.model.clients[id].number)
    }

    /// Commands in one piece from one connection; then each connection must have heard the same from both.
    pub fn send(&mut self, name: usize, commands: &[Words]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| packed(command)).collect();
        let told: Vec<_> = commands.iter().map(readable).collect();
        self.story.push(format!("{name}: {}", told.join(" | ")));
        let now = self.now();
        let both = self.connections.get_mut(&name).expect("connected");
        both.wire.send(&bytes);
        // In two pieces, cut anywhere.
        let (first, second) = bytes.split_at(self.story.len() * 31 % bytes.len());
        self.model.receive(both.id, first, now);
        self.model.receive(both.id, second, now);
        self.same(name, commands.len());
    }

    /// Bytes that may be no commands, to which so many replies are due.
    pub fn send_raw(&mut self, name: usize, bytes: &[u8], replies: usize) {
        self.story.push(format!("{name}: {}", bytes.escape_ascii()));
        let now = self.now();
        let both = self.connections.get_mut(&name).expect("connected");
        both.wire.send(bytes);
        self.model.receive(both.id, bytes, now);
        self.same(name, replies);
    }

    /// A command of the tests' own connection, and of the model's foreign client.
    pub fn foreign(&mut self, command: &Words) {
        self.story.push(format!("foreign: {}", readable(command)));
        let now = self.now();
        self.admin.send(&packed(command));
        let heard = self.admin.hear(1);
        let borrowed: Vec<_> = command.iter().map(Vec::as_slice).collect();
        let mut bytes = Vec::new();
        self.model.execute(&borrowed, now).write(false, &mut bytes);
        let modelled = taken(&mut Parser::default(), &mut bytes);
        self.compare(99, &heard, &modelled);
        self.same(99, 0);
    }

    /// Time passes that is long enough for all that is due shortly.
    pub fn rest(&mut self, ms: u64) {
        self.story.push(format!("rest {ms} ms"));
        std::thread::sleep(Duration::from_millis(ms));
    }

    /// Something is wrong with both servers from here on: the switches of the model, and the commands that do the same
    /// to the real one.
    pub fn faulty(&mut self, faults: Faults, commands: &[&str]) {
        self.story.push(format!("faults: {commands:?}"));
        for command in commands {
            let reply = self.admin.command(&command.split(' ').collect::<Vec<_>>());
            assert_eq!(reply, Value::Okay, "{command}");
        }
        self.model.faults = faults;
    }

    /// All connections are asked for an echo, so that all pushes before it are there; they must have heard the same.
    fn same(&mut self, name: usize, replies: usize) {
        let echo = packed(&words(&["ECHO", "barrier"]));
        let now = self.now();
        let names: Vec<_> = self.connections.keys().copied().collect();
        for other in names {
            let both = self.connections.get_mut(&other).expect("connected");
            let expected = if other == name { replies } else { 0 };
            let (real, modelled) = if self.model.is_open(both.id) {
                both.wire.send(&echo);
                self.model.receive(both.id, &echo, now);
                (both.wire.hear(expected + 1), self.model.output(both.id))
            } else {
                // It must end in the real server, too.
                (both.wire.hear(usize::MAX), self.model.output(both.id))
            };
            let mut modelled = modelled;
            let modelled = taken(&mut Parser::default(), &mut modelled);
            self.compare(other, &real, &modelled);
        }
        let open: Vec<_> = self.connections.keys().copied().filter(|name| self.is_open(*name)).collect();
        self.connections.retain(|name, _| open.contains(name));
    }

    fn compare(&self, name: usize, real: &[Heard], model: &[Heard]) {
        let (real, model) = (in_order(real), in_order(model));
        let same = real.len() == model.len() && real.iter().zip(&model).all(|(real, model)| alike(real, model));
        if !same {
            let last = self.story.len().saturating_sub(40);
            panic!(
                "connection {name} hears\n  {}\nof the real server, and of the model\n  {}\nafter\n  {}",
                shown(&real),
                shown(&model),
                self.story[last..].join("\n  ")
            );
        }
    }
}

/// SCAN meets keys in an order of its own, in which those that are due go: its keys, and the pushes around it, sorted.
fn in_order(heard: &[Heard]) -> Vec<&Heard> {
    let mut heard: Vec<_> = heard.iter().collect();
    if !heard.iter().any(|heard| page(&heard.message).is_some()) {
        return heard;
    }
    for run in heard.chunk_by_mut(|a, b| [a, b].iter().all(|heard| matches!(heard.message, Message::Push(_)))) {
        run.sort_by_key(|heard| heard.bytes.clone());
    }
    heard
}

/// What a reply of SCAN holds.
fn page(message: &Message) -> Option<Vec<Vec<u8>>> {
    let Message::Reply(Value::Array(parts)) = message else { return None };
    let [Value::BulkString(_), Value::Array(keys)] = parts.as_slice() else { return None };
    let bytes = |key: &Value| if let Value::BulkString(key) = key { key.clone() } else { Vec::new() };
    let mut keys: Vec<_> = keys.iter().map(bytes).collect();
    keys.sort();
    Some(keys)
}

fn shown(heard: &[&Heard]) -> String {
    heard.iter().map(|heard| heard.bytes.escape_ascii().to_string()).collect::<Vec<_>>().join("\n  ")
}

fn readable(command: &Words) -> String {
    command.iter().map(|word| word[..word.len().min(60)].escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

/// The same bytes; but what is a time may differ a little.
fn alike(real: &Heard, model: &Heard) -> bool {
    if real.bytes == model.bytes {
        return true;
    }
    if let (Some(real), Some(model)) = (page(&real.message), page(&model.message)) {
        return real == model;
    }
    match (&real.message, &model.message) {
        (Message::Reply(real), Message::Reply(model)) => real != model && close(real, model),
        _ => false,
    }
}

fn close(real: &Value, model: &Value) -> bool {
    match (real, model) {
        (Value::Int(real), Value::Int(model)) => {
            let apart = real.abs_diff(*model);
            let (millis, seconds) = (50_000..10_000_000, 50..1_000);
            apart == 0 || apart < 500 && millis.contains(real) || apart == 1 && seconds.contains(real)
        }
        (Value::Array(real), Value::Array(model)) => {
            real.len() == model.len() && real.iter().zip(model).all(|(real, model)| close(real, model))
        }
        (real, model) => real == model,
    }
}
