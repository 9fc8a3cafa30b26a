//! A real server and connections to it, whose messages are read one by one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holdfast::engine::net::resp::{Message, Parser};
use redis::Value;

/// A server on a free port, ended with the test.
pub struct Real {
    child: Child,
    port: u16,
}

impl Real {
    /// The keys of this one go when they are touched, and no sooner; its snapshots fail, which it minds when it is told
    /// to. The tests' own connection may do all whatever the ACL.
    pub fn start() -> (Self, Wire) {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let directory = directory();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "3600 1000000", "--appendonly", "no"])
            .args(["--stop-writes-on-bgsave-error", "no", "--enable-debug-command", "yes", "--daemonize", "no"])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server must be installed for these tests");
        let real = Self { child, port };
        let begun = Instant::now();
        let mut admin = loop {
            match real.try_connect() {
                Some(wire) => break wire,
                None => assert!(begun.elapsed() < Duration::from_secs(20), "the server does not answer"),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        std::fs::remove_dir(&directory).expect("the server has written nothing");
        for command in
            ["DEBUG SET-ACTIVE-EXPIRE 0", "ACL SETUSER admin on nopass ~* &* +@all", "AUTH admin x", "BGSAVE"]
        {
            let reply = admin.command(&command.split(' ').collect::<Vec<_>>());
            assert!(matches!(reply, Value::Okay | Value::SimpleString(_)), "{command}: {reply:?}");
        }
        until(|| admin.info("persistence").contains("rdb_last_bgsave_status:err"));
        (real, admin)
    }

    fn try_connect(&self) -> Option<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        Some(Wire { stream, parser: Parser::default(), bytes: Vec::new() })
    }

    pub fn connect(&self) -> Wire {
        self.try_connect().expect("the server is up")
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of its own, in which the server is started, and which is gone when it writes its snapshot.
fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("holdfast-sim-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).expect("a directory for the server");
    path
}

pub fn until(mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A message, and the bytes that it was.
#[derive(Debug, PartialEq)]
pub struct Heard {
    pub message: Message,
    pub bytes: Vec<u8>,
}

pub struct Wire {
    stream: TcpStream,
    parser: Parser,
    bytes: Vec<u8>,
}

impl Wire {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes it");
    }

    /// Reads until so many replies came, or the connection ended.
    pub fn hear(&mut self, replies: usize) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            heard.extend(taken(&mut self.parser, &mut self.bytes));
            if heard.iter().filter(|heard| matches!(heard.message, Message::Reply(_))).count() >= replies {
                return heard;
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(0) => return heard,
                Ok(count) => self.bytes.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return heard,
                Err(error) => panic!("{error} after {heard:?}"),
            }
        }
    }

    pub fn command(&mut self, words: &[&str]) -> Value {
        self.send(&packed(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>()));
        match self.hear(1).pop().expect("a reply").message {
            Message::Reply(value) => value,
            Message::Push(push) => panic!("{push:?}"),
        }
    }

    pub fn info(&mut self, section: &str) -> String {
        match self.command(&["INFO", section]) {
            Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("{other:?}"),
        }
    }
}

/// Takes the messages that are whole.
pub fn taken(parser: &mut Parser, bytes: &mut Vec<u8>) -> Vec<Heard> {
    let (mut heard, mut at, mut from) = (Vec::new(), 0, 0);
    while let Some(message) = parser.next(bytes, &mut at).expect("RESP") {
        heard.push(Heard { message, bytes: bytes[from..at].to_vec() });
        from = at;
    }
    assert!(from == at || bytes.len() >= at);
    // What is not whole is looked at anew.
    *parser = Parser::default();
    bytes.drain(..from);
    heard
}

/// The bytes of a command.
pub fn packed(words: &[Vec<u8>]) -> Vec<u8> {
    redis::pack_command(words)
}
