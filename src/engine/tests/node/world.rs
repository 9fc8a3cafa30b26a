//! The world of the machine's tests: a server that is a page of code, bytes in any pieces, and a time that leaps.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use parking_lot::Mutex;
use redis::Value;

use crate::engine::base::clock::{Clock, Ttl};
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::random::Random;
use crate::engine::base::text::{Json, Span};
use crate::engine::cache::job::{Job, Link, Work};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::options::{Given, Options};
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::{Batch, Extras, NONE, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
#[cfg(feature = "drive")]
use crate::engine::fleet;
use crate::engine::front::{Front, Reach};
use crate::engine::net::resp::{Message, Parser};
use crate::engine::net::target::{Address, Target};
use crate::engine::node::handshake::Peer;
use crate::engine::node::machine::Node;
use crate::engine::node::state::Wish;
use crate::engine::task::executor::Tasks;

/// A server that answers as Redis does, as far as the machine asks.
#[derive(Default)]
pub struct Server {
    pub stored: HashMap<String, String>,
    pub parser: Parser,
    pub bytes: Vec<u8>,
    /// It knows no HELLO.
    pub old: bool,
    /// Where it says, asked as a sentinel, that the primary is.
    pub primary: (String, u16),
    /// What it is by its own word, where that is no master.
    pub role: Option<&'static str>,
    /// What it says to each SET, and to each script.
    pub refusal: Option<&'static str>,
    /// It never answers what names this key, or this command.
    pub hangs: Option<&'static str>,
    pub commands: Vec<String>,
}

impl Server {
    /// The replies to all commands that are whole.
    pub fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.bytes.extend_from_slice(bytes);
        let mut replies = Vec::new();
        let mut at = 0;
        while let Ok(Some(Message::Reply(Value::Array(words)))) = self.parser.next(&self.bytes, &mut at) {
            let words: Vec<String> = words
                .into_iter()
                .map(|word| match word {
                    // A character for each byte, as the headers of entries are no text.
                    Value::BulkString(bytes) => bytes.into_iter().map(char::from).collect(),
                    other => panic!("{other:?} is no word of a command"),
                })
                .collect();
            self.commands.push(words[0].clone());
            replies.extend(self.one(&words).chars().filter_map(|byte| u8::try_from(byte).ok()));
        }
        self.bytes.drain(..at);
        replies
    }

    fn one(&mut self, words: &[String]) -> String {
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.chars().count());
        let value = |text: Option<&String>| text.map_or("$-1\r\n".into(), |text| bulk(text));
        match words[0].as_str() {
            _ if words.iter().any(|word| Some(word.as_str()) == self.hangs) => String::new(),
            "SET" | "EVAL" | "EVALSHA" if self.refusal.is_some() => {
                format!("-{}\r\n", self.refusal.unwrap_or_default())
            }
            "HELLO" if self.old => "-ERR unknown command 'HELLO'\r\n".into(),
            "HELLO" => format!("%1\r\n{}{}", bulk("mode"), bulk("standalone")),
            "INFO" => bulk("redis_version:7.4.0\r\nrun_id:one\r\n"),
            "ROLE" => format!("*1\r\n{}", bulk(self.role.unwrap_or("master"))),
            "SENTINEL" if words[1] == "SENTINELS" => {
                format!("*1\r\n*4\r\n{}{}{}{}", bulk("ip"), bulk("s9"), bulk("port"), bulk("9"))
            }
            "SENTINEL" => format!("*2\r\n{}{}", bulk(&self.primary.0), bulk(&self.primary.1.to_string())),
            "SCAN" => format!("*2\r\n{}*0\r\n", bulk("0")),
            "CLIENT" if words[1] == "ID" => ":7\r\n".into(),
            "MGET" => {
                let found: String = words[1..].iter().map(|key| value(self.stored.get(key))).collect();
                format!("*{}\r\n{found}", words.len() - 1)
            }
            "GET" => value(self.stored.get(&words[1])),
            "SET" if words.len() > 3 && words[3] == "XX" => "$-1\r\n".into(),
            "SET" => {
                self.stored.insert(words[1].clone(), words[2].clone());
                "+OK\r\n".into()
            }
            "UNLINK" | "DEL" => {
                let removed = words[1..].iter().filter(|key| self.stored.remove(*key).is_some()).count();
                format!(":{removed}\r\n")
            }
            "PTTL" => ":60000\r\n".into(),
            "ECHO" | "PING" => bulk(words.get(1).map_or("PONG", String::as_str)),
            "EXEC" => "-ERR EXEC without MULTI\r\n".into(),
            "EVAL" | "EVALSHA" | "PEXPIRE" => ":1\r\n".into(),
            "GETRANGE" => bulk(self.stored.get(&words[1]).map_or("", String::as_str)),
            _ => "+OK\r\n".into(),
        }
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Listener {
    replies: Mutex<HashMap<u32, Vec<Reply>>>,
}

impl Listener {
    pub fn reply(&self, id: u32) -> Option<Vec<Reply>> {
        self.replies.lock().get(&id).cloned()
    }
}

impl Sink for Listener {
    fn client(&self) -> u32 {
        1
    }

    fn closed(&self) -> bool {
        false
    }

    fn complete(&self, id: u32, replies: &[Reply]) {
        assert!(self.replies.lock().insert(id, replies.to_vec()).is_none(), "answered twice: {id}");
    }

    fn complete_some(&self, id: u32, _places: &[u32], _replies: &[Reply]) {
        unreachable!("one server answers a batch whole: {id}");
    }

    fn event(&self, _json: String) {}

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        None
    }
}

/// How callers reach the node: by a queue that a test empties.
struct Queue(Link);

impl Reach for Queue {
    fn link(&self) -> Option<&Link> {
        Some(&self.0)
    }
}

pub struct World {
    pub node: Node,
    pub cache: Arc<Cache>,
    /// The way in, and the jobs that came by it.
    pub front: Front,
    pub jobs: UnboundedReceiver<Job>,
    pub server: Server,
    pub listener: Arc<Listener>,
    pub now: Instant,
    connected: bool,
    /// The server reads and says nothing.
    pub stopped: bool,
    pub dials: usize,
    /// Where they went.
    pub dialled: Vec<String>,
    /// Hosts where nobody listens, and hosts that say nothing.
    pub dead: Vec<&'static str>,
    pub mute: Vec<&'static str>,
    /// How many bytes come at a time.
    pub piece: usize,
}

impl World {
    pub fn new(server: Server) -> Self {
        Self::at("redis://nowhere", server)
    }

    pub fn at(url: &str, server: Server) -> Self {
        Self::with(Given { url: Some(url.into()), ..Given::default() }, server)
    }

    pub fn with(given: Given, server: Server) -> Self {
        let url = given.url.clone().or_else(|| Some("redis://nowhere".into()));
        let given = Given { url, namespace: "app".into(), near: true, ..given };
        let options = Options::check(given).expect("these are right");
        let now = Instant::now();
        let tasks = Tasks::new(now);
        let shared = Shared::new(&options, tasks.spawner().clone(), Clock::System, Random::System);
        shared.allow(&options);
        let (sender, jobs) = unbounded();
        let reach = Queue(Link::new(shared.server("").clone(), sender));
        let front = Front::new(&shared, Arc::new(reach), &options);
        let cache = front.cache.clone();
        let node = Node::new(shared.clone(), shared.server("").clone(), tasks, now);
        let listener = Arc::default();
        let (connected, stopped, dials, piece) = (false, false, 0, usize::MAX);
        let (dialled, dead, mute) = Default::default();
        Self { node, cache, front, jobs, server, listener, now, connected, stopped, dials, dialled, dead, mute, piece }
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn mode(&self) -> Mode {
        self.cache.shared().status.mode()
    }

    /// Does what the node wishes, and carries bytes, until nothing is left to do at this moment.
    pub fn settle(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let mut went_on = self.node.run(Some(&mut context), self.now);
            while let Some(wish) = self.node.wish() {
                went_on = true;
                self.server.bytes.clear();
                self.connected = false;
                if let Wish::Dial(target, _) = wish {
                    self.dial(&target);
                }
            }
            let sent = self.sent();
            let mute = self.dialled.last().is_some_and(|host| self.mute.contains(&host.as_str()));
            if !sent.is_empty() && self.connected && !self.stopped && !mute {
                went_on = true;
                let replies = self.server.answer(&sent);
                replies.chunks(self.piece.min(replies.len().max(1))).for_each(|part| self.node.read(part, self.now));
            }
            if !went_on {
                return;
            }
        }
    }

    fn dial(&mut self, target: &Target) {
        self.dials += 1;
        let host = match &target.address {
            Address::Tcp { host, .. } => host.clone(),
            Address::Unix(_) => String::new(),
        };
        self.connected = !self.dead.contains(&host.as_str());
        self.dialled.push(host);
        match self.connected {
            true => self.node.connected(Peer::default(), self.now),
            false => self.node.lost(Trouble::new(Kind::Connect, "nobody listens"), self.now),
        }
    }

    /// Lets time pass, from one moment that the node names to the next.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        let mut rounds = 0;
        while let Some(moment) = self.node.next_moment().filter(|moment| *moment <= until) {
            rounds += 1;
            assert!(rounds < 10_000, "it names the same moment for ever");
            self.now = self.now.max(moment);
            self.node.tick(self.now);
            self.settle();
        }
        self.now = until;
    }

    pub fn call(&mut self, id: u32, key: &str, value: Option<&str>) {
        self.submit(id, key, value, Batch::default());
    }

    /// A write with a tag, whose token must be asked for first.
    pub fn set_tagged(&mut self, id: u32, key: &str, value: &str) {
        let tagged = Extras { tags: vec!["t".into()], ..NONE.clone() };
        self.submit(id, key, Some(value), Batch { extras: vec![tagged], ..Batch::default() });
    }

    fn submit(&mut self, id: u32, key: &str, value: Option<&str>, batch: Batch) {
        let batch = filled(key, value, batch);
        self.submit_batch(batch, &self.to(id));
    }

    pub fn submit_batch(&mut self, batch: Batch, to: &ReplyTo) {
        let server = self.cache.shared().server("").clone();
        self.node.call(Job::new(self.cache.clone(), server, Work::Batch(batch), to.clone()), self.now);
    }

    /// To one of several servers: that of the node.
    #[cfg(feature = "drive")]
    pub fn submit_to(&mut self, server: &Arc<fleet::server::Server>, batch: Batch, id: u32) {
        let job = Job::new(self.cache.clone(), server.clone(), Work::Batch(batch), self.to(id));
        self.node.call(job, self.now);
    }

    pub fn to(&self, id: u32) -> ReplyTo {
        ReplyTo { sink: self.listener.clone(), id }
    }

    pub fn sent(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.node.output(&mut bytes);
        bytes
    }

    pub fn reply(&self, id: u32) -> Option<Vec<Reply>> {
        self.listener.reply(id)
    }
}

/// The reply of a read that found this.
pub fn value(text: &str) -> Reply {
    Reply::Value(Json::of(text.to_owned()))
}

/// The replies of a batch of one such read, once they have come.
pub fn found(text: &str) -> Option<Vec<Reply>> {
    Some(vec![value(text)])
}

/// A batch of one call: a read, or a write of a value.
pub fn filled(key: &str, value: Option<&str>, mut batch: Batch) -> Batch {
    batch.text = format!("{key}{}", value.unwrap_or_default());
    let (end, all) = (key.len() as u32, batch.text.len() as u32);
    let key = Span { start: 0, end };
    batch.ops.push(match value {
        None => Op::Get { key, early: true, hot: false },
        Some(_) => Op::Set {
            key,
            value: Span { start: end, end: all },
            ttl: Ttl::Millis(60_000),
            more: if batch.extras.is_empty() { None } else { Some(0) },
        },
    });
    batch
}
