//! The machine without I/O: one node, a server that is a page of code, and a time that leaps.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::Value;

use crate::engine::base::clock::Clock;
use crate::engine::base::clock::Ttl;
use crate::engine::base::random::Random;
use crate::engine::base::text::{Json, Span};
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::options::{Given, Options};
use crate::engine::cache::shared::Shared;
use crate::engine::cache::status::Mode;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::batch::{Extras, NONE};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
use crate::engine::net::resp::{Message, Parser};
use crate::engine::net::wire::{HELD_UP, closed};
use crate::engine::node::handshake::Peer;
use crate::engine::node::machine::Node;
use crate::engine::node::pump::HEARTBEAT;
use crate::engine::node::state::Wish;
use crate::engine::task::executor::Tasks;

/// A server that answers as Redis does, as far as the machine asks.
#[derive(Default)]
struct Server {
    stored: HashMap<String, String>,
    parser: Parser,
    bytes: Vec<u8>,
    /// It knows no HELLO.
    old: bool,
    commands: Vec<String>,
}

impl Server {
    /// The replies to all commands that are whole.
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.bytes.extend_from_slice(bytes);
        let mut replies = Vec::new();
        let mut at = 0;
        while let Ok(Some(Message::Reply(Value::Array(words)))) = self.parser.next(&self.bytes, &mut at) {
            let words: Vec<String> = words
                .into_iter()
                .map(|word| match word {
                    Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    other => panic!("{other:?} is no word of a command"),
                })
                .collect();
            self.commands.push(words[0].clone());
            replies.extend_from_slice(self.one(&words).as_bytes());
        }
        self.bytes.drain(..at);
        replies
    }

    fn one(&mut self, words: &[String]) -> String {
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let value = |text: Option<&String>| text.map_or("$-1\r\n".into(), |text| bulk(text));
        match words[0].as_str() {
            "HELLO" if self.old => "-ERR unknown command 'HELLO'\r\n".into(),
            "HELLO" => format!("%1\r\n{}{}", bulk("mode"), bulk("standalone")),
            "INFO" => bulk("redis_version:7.4.0\r\nrun_id:one\r\n"),
            "ROLE" => format!("*1\r\n{}", bulk("master")),
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
            "GETRANGE" => bulk(""),
            _ => "+OK\r\n".into(),
        }
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Listener {
    replies: Mutex<HashMap<u32, Vec<Reply>>>,
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

    fn event(&self, _json: String) {}

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        None
    }
}

struct World {
    node: Node,
    cache: Arc<Cache>,
    server: Server,
    listener: Arc<Listener>,
    now: Instant,
    connected: bool,
    /// The server reads and says nothing.
    stopped: bool,
    dials: usize,
    /// How many bytes come at a time.
    piece: usize,
}

impl World {
    fn new(server: Server) -> Self {
        let given = Given { url: Some("redis://nowhere".into()), namespace: "app".into(), ..Given::default() };
        let options = Options::check(given).expect("these are right");
        let now = Instant::now();
        let tasks = Tasks::new(now);
        let shared = Shared::new(&options, tasks.spawner().clone(), Clock::System, Random::System);
        shared.allow(&options);
        let cache = Cache::new(shared.clone(), Arc::new(()), &options);
        let node = Node::new(shared.clone(), shared.server("").clone(), tasks, now);
        let listener = Arc::default();
        let (connected, stopped, dials, piece) = (false, false, 0, usize::MAX);
        Self { node, cache, server, listener, now, connected, stopped, dials, piece }
    }

    fn mode(&self) -> Mode {
        self.cache.shared().status.mode()
    }

    /// Does what the node wishes, and carries bytes, until nothing is left to do at this moment.
    fn settle(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let mut went_on = self.node.run(&mut context, self.now);
            while let Some(wish) = self.node.wish() {
                went_on = true;
                self.server.bytes.clear();
                self.connected = matches!(wish, Wish::Dial(..));
                if self.connected {
                    self.dials += 1;
                    self.node.connected(Peer::default(), self.now);
                }
            }
            let sent = self.sent();
            if !sent.is_empty() && self.connected && !self.stopped {
                went_on = true;
                let replies = self.server.answer(&sent);
                replies.chunks(self.piece.min(replies.len().max(1))).for_each(|part| self.node.read(part, self.now));
            }
            if !went_on {
                return;
            }
        }
    }

    /// Lets time pass, from one moment that the node names to the next.
    fn pass(&mut self, time: Duration) {
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

    fn call(&mut self, id: u32, key: &str, value: Option<&str>) {
        self.submit(id, key, value, Batch::default());
    }

    /// A write with a tag, whose token must be asked for first.
    fn set_tagged(&mut self, id: u32, key: &str, value: &str) {
        let tagged = Extras { tags: vec!["t".into()], ..NONE.clone() };
        self.submit(id, key, Some(value), Batch { extras: vec![tagged], ..Batch::default() });
    }

    fn submit(&mut self, id: u32, key: &str, value: Option<&str>, mut batch: Batch) {
        batch.text = format!("{key}{}", value.unwrap_or_default());
        let (end, all) = (key.len() as u32, batch.text.len() as u32);
        let key = Span { start: 0, end };
        batch.ops.push(match value {
            None => Op::Get { key, early: false, hot: false },
            Some(_) => Op::Set {
                key,
                value: Span { start: end, end: all },
                ttl: Ttl::Millis(60_000),
                more: if batch.extras.is_empty() { None } else { Some(0) },
            },
        });
        let to = ReplyTo { sink: self.listener.clone(), id };
        self.node.call(
            Job::new(self.cache.clone(), self.cache.shared().server("").clone(), Work::Batch(batch), to),
            self.now,
        );
    }

    fn sent(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.node.output(&mut bytes);
        bytes
    }

    fn reply(&self, id: u32) -> Option<Vec<Reply>> {
        self.listener.replies.lock().get(&id).cloned()
    }
}

fn value(text: &str) -> Option<Vec<Reply>> {
    Some(vec![Reply::Value(Json::Owned(text.into()))])
}

#[test]
fn a_node_serves_over_whatever_carries_its_bytes_in_any_pieces() {
    for piece in [usize::MAX, 1, 2, 7] {
        let mut world = World::new(Server::default());
        world.piece = piece;
        world.settle();
        assert_eq!(world.mode(), Mode::Redis, "pieces of {piece}");
        world.call(1, "k", Some("\"v\""));
        world.call(2, "k", None);
        world.settle();
        assert_eq!((world.reply(1), world.reply(2)), (Some(vec![Reply::Done]), value("\"v\"")), "pieces of {piece}");
        assert_eq!(world.server.stored["app:k"], "\"v\"");
    }
}

#[test]
fn jobs_that_waited_for_the_tokens_of_another_one_go_in_front_of_those_that_come_then() {
    let mut world = World::new(Server::default());
    world.settle();
    world.set_tagged(1, "tagged", "1");
    world.call(2, "k", Some("1"));
    world.call(3, "k", Some("2"));
    // The tokens come, and with them the next job, before those that waited were started.
    let sent = world.sent();
    let replies = world.server.answer(&sent);
    world.node.read(&replies, world.now);
    world.call(4, "k", Some("3"));
    world.settle();
    assert_eq!(world.server.stored["app:k"], "3", "the last call of a key is the last that is stored");
    assert_eq!(world.reply(4), Some(vec![Reply::Done]));
}

#[test]
fn a_server_that_says_nothing_is_an_outage_at_the_deadline_and_its_calls_are_answered_in_order() {
    let mut world = World::new(Server::default());
    world.settle();
    world.stopped = true;
    world.call(1, "k", Some("1"));
    world.call(2, "k", None);
    world.settle();
    assert_eq!(world.reply(1), None);
    world.pass(world.cache.timeout + HELD_UP);
    assert_eq!(world.mode(), Mode::Memory);
    assert_eq!(
        (world.reply(1), world.reply(2)),
        (Some(vec![Reply::Done]), Some(vec![Reply::Value(Json::Shared("1".into()))]))
    );
    // Dialling goes on; behind it, what the outage wrote is removed first.
    let dials = world.dials;
    world.server.stored.insert("app:k".into(), "\"old\"".into());
    world.stopped = false;
    world.pass(Duration::from_secs(10));
    assert!(world.dials > dials);
    assert_eq!(world.mode(), Mode::Redis);
    assert!(!world.server.stored.contains_key("app:k"), "{:?}", world.server.stored);
}

#[test]
fn an_idle_connection_is_asked_each_second_whether_it_lives() {
    let mut world = World::new(Server::default());
    world.settle();
    world.server.commands.clear();
    world.pass(HEARTBEAT * 60 + HEARTBEAT / 2);
    assert_eq!(world.server.commands.iter().filter(|name| *name == "PING").count(), 60);
    world.stopped = true;
    world.pass(HEARTBEAT + world.cache.timeout * 2);
    assert_eq!(world.mode(), Mode::Memory);
}

#[test]
fn a_process_that_was_stopped_takes_the_replies_that_lie_there_for_no_outage() {
    let mut world = World::new(Server::default());
    world.settle();
    world.call(1, "k", None);
    // The moment comes a minute too late: the clock went on, and nobody looked into the socket.
    world.now += Duration::from_secs(60);
    world.node.tick(world.now);
    world.settle();
    assert_eq!((world.mode(), world.reply(1)), (Mode::Redis, Some(vec![Reply::Miss])));
    // But nothing comes either: then it is one.
    world.stopped = true;
    world.call(2, "k", None);
    world.now += Duration::from_secs(60);
    world.node.tick(world.now);
    world.settle();
    assert_eq!(world.mode(), Mode::Redis);
    world.pass(HELD_UP);
    assert_eq!((world.mode(), world.reply(2)), (Mode::Memory, Some(vec![Reply::Miss])));
}

#[test]
fn a_server_that_knows_no_hello_is_dialled_again_and_spoken_to_in_the_older_protocol() {
    let mut world = World::new(Server { old: true, ..Server::default() });
    world.settle();
    assert_eq!((world.mode(), world.dials), (Mode::Redis, 2));
    assert!(!world.cache.shared().server("").near.is_armed(), "nothing is pushed");
}

#[test]
fn calls_wait_for_the_first_connection_no_longer_than_their_own_deadline() {
    let mut world = World::new(Server::default());
    world.stopped = true;
    world.settle();
    world.call(1, "k", None);
    assert_eq!(world.reply(1), None);
    world.pass(world.cache.timeout * 2);
    assert_eq!((world.mode(), world.reply(1)), (Mode::Memory, Some(vec![Reply::Miss])));
}

#[test]
fn what_breaks_the_stream_ends_the_connection_and_nothing_of_it_is_believed() {
    for bytes in ["$2\r\nno\r\n", "what is this", "-ERR\r\n+OK\r\n"] {
        let mut world = World::new(Server::default());
        world.settle();
        world.stopped = true;
        world.call(1, "k", Some("1"));
        world.settle();
        world.node.read(bytes.as_bytes(), world.now);
        world.node.read(b"+OK\r\n+OK\r\n", world.now);
        world.settle();
        assert_eq!((world.mode(), world.reply(1)), (Mode::Memory, Some(vec![Reply::Done])), "{bytes:?}");
    }
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let mut world = World::new(Server::default());
    world.settle();
    world.node.read(b"+OK\r\n", world.now);
    world.settle();
    assert_eq!(world.mode(), Mode::Memory);
}

#[test]
fn what_a_server_said_before_it_hung_up_is_the_reason() {
    let mut world = World::new(Server::default());
    world.stopped = true;
    world.settle();
    world.node.read(b"-ERR max number of clients reached\r\n", world.now);
    world.node.lost(closed(), world.now);
    world.settle();
    let health = world.cache.shared().status.health();
    assert_eq!(health["lastError"]["kind"], "connect", "{health}");
}

#[test]
fn a_node_that_nobody_calls_any_more_ends_when_what_is_under_way_is_answered() {
    let mut world = World::new(Server::default());
    world.settle();
    world.call(1, "k", None);
    world.node.close(world.now);
    assert!(!world.node.is_ended());
    world.settle();
    assert_eq!(world.reply(1), Some(vec![Reply::Miss]));
    assert!(world.node.is_ended());
}

#[test]
fn a_node_that_failed_within_answers_what_it_held_and_begins_anew() {
    let mut world = World::new(Server::default());
    world.settle();
    world.stopped = true;
    let ids = [1, 2, 3];
    ids.iter().for_each(|id| world.call(*id, "k", None));
    world.node = world.node.replaced(world.now);
    assert!(ids.iter().all(|id| world.reply(*id) == Some(vec![Reply::Miss])));
    assert_eq!(world.mode(), Mode::Memory);
    world.stopped = false;
    world.pass(Duration::from_secs(10));
    assert_eq!(world.mode(), Mode::Redis);
}
