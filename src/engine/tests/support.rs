//! What the tests share: a sink that keeps replies, batches from readable calls, and real Redis servers.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::engine::base::text::Span;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::options::{Given, Options};
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::{Reply, Submitted};
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
use crate::engine::front::Front;
use crate::engine::registry;

/// A client of the engine that remembers what it was told.
pub struct Client {
    id: u32,
    pub ended: AtomicBool,
    pub replies: Mutex<HashMap<u32, Vec<Reply>>>,
    pub events: Mutex<Vec<String>>,
    told: Mutex<Vec<Told>>,
}

/// Under which id, at which places of the batch, and what.
pub type Told = (u32, Vec<u32>, Vec<Reply>);

impl Client {
    pub fn new() -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1_000);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            ended: AtomicBool::new(false),
            replies: Mutex::default(),
            events: Mutex::default(),
            told: Mutex::default(),
        })
    }

    pub fn to(self: &Arc<Self>, id: u32) -> ReplyTo {
        ReplyTo { sink: self.clone(), id }
    }

    pub fn reply(&self, id: u32) -> Option<Vec<Reply>> {
        self.replies.lock().get(&id).cloned()
    }

    /// What it was told since it was asked last, in its order.
    pub fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock())
    }

    /// Runs a batch and waits for its replies, however they come.
    pub fn run(self: &Arc<Self>, cache: &Arc<Front>, batch: Batch) -> Vec<Reply> {
        static NEXT: AtomicU32 = AtomicU32::new(10_000);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        match cache.submit(batch, &self.to(id)) {
            Submitted::Answered(replies) => replies,
            Submitted::Later => until("the batch to be answered", || self.reply(id)),
            Submitted::Partly(early) => {
                let late = until("the rest of the batch", || self.reply(id));
                early
                    .into_iter()
                    .zip(late)
                    .map(|(early, late)| if early == Reply::Later { late } else { early })
                    .collect()
            }
        }
    }
}

impl Sink for Client {
    fn client(&self) -> u32 {
        self.id
    }

    fn closed(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn complete(&self, id: u32, replies: &[Reply]) {
        self.told.lock().push((id, (0..replies.len() as u32).collect(), replies.to_vec()));
        let before = self.replies.lock().insert(id, replies.to_vec());
        assert!(before.is_none(), "answered twice: {id}");
    }

    fn complete_some(&self, id: u32, places: &[u32], replies: &[Reply]) {
        self.told.lock().push((id, places.to_vec(), replies.to_vec()));
    }

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        None
    }

    fn event(&self, json: String) {
        self.events.lock().push(json);
    }
}

/// Waits for something to be there; the bound is only against hanging.
pub fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = there() {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A batch from operations on spans: `b.add("key", "value", |key, value| Op::Set { .. })`.
#[derive(Default)]
pub struct Calls(pub Batch);

impl Calls {
    pub fn add(mut self, key: &str, value: &str, op: impl FnOnce(Span, Span) -> Op) -> Self {
        let key = self.span(key);
        let value = self.span(value);
        self.0.ops.push(op(key, value));
        self
    }

    pub fn get(self, key: &str) -> Self {
        self.add(key, "", |key, _| Op::Get { key, early: true, hot: false })
    }

    pub fn set(self, key: &str, value: &str) -> Self {
        self.add(key, value, |key, value| Op::Set {
            key,
            value,
            ttl: crate::engine::base::clock::Ttl::Millis(60_000),
            more: None,
        })
    }

    pub fn del(self, key: &str) -> Self {
        self.add(key, "", |key, _| Op::Del { key })
    }

    pub fn take(self, key: &str) -> Self {
        self.add(key, "", |key, _| Op::Take { key, more: None })
    }

    fn span(&mut self, part: &str) -> Span {
        let start = self.0.text.len() as u32;
        self.0.text.push_str(part);
        Span { start, end: self.0.text.len() as u32 }
    }
}

/// A cache, in memory mode or on a URL; its engine is its own as long as nobody else opens the same URL.
pub fn cache(url: Option<String>, namespace: &str) -> Arc<Front> {
    let given = Given { url, namespace: namespace.to_owned(), ..Given::default() };
    let cache = Options::check(given).map(|options| Arc::new(registry::open(&options)));
    cache.unwrap_or_else(|e| panic!("{e}"))
}

/// A cache that is in redis mode, and patient with a busy machine: for tests of anything but outages.
pub fn patient(server: &Server, namespace: &str, near: bool) -> Arc<Front> {
    let timeout_ms = Some(5_000.0);
    let given = Given { url: server.url(), namespace: namespace.to_owned(), near, timeout_ms, ..Given::default() };
    let cache =
        Options::check(given).map(|options| Arc::new(registry::open(&options))).unwrap_or_else(|e| panic!("{e}"));
    in_mode(&cache, Mode::Redis);
    cache
}

pub fn in_mode(cache: &Cache, mode: Mode) {
    until(mode.name(), || (cache.shared().status.mode() == mode).then_some(()));
}

/// A real server on a free port, ended with the test: `redis-server`, or what `HOLDFAST_TEST_SERVER` names.
pub struct Server {
    child: Child,
    pub port: u16,
    /// What it wrote, where it had to.
    folder: Option<PathBuf>,
}

impl Server {
    pub fn start() -> Self {
        Self::on(free_port())
    }

    pub fn on(port: u16) -> Self {
        Self::with(port, &[], None)
    }

    /// The only server of a cluster that serves so many slots, the first ones, and nobody the others.
    pub fn cluster(slots: u16) -> Self {
        let (port, bus) = (free_port(), free_port().to_string());
        let folder = std::env::temp_dir().join(format!("holdfast-cluster-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let lines = [
            ["--cluster-enabled", "yes"],
            ["--cluster-require-full-coverage", "no"],
            // One that knows no other has heard of no address of its own.
            ["--cluster-announce-ip", "127.0.0.1"],
            ["--cluster-port", &bus],
        ];
        let server = Self::with(port, lines.as_flattened(), Some(folder));
        until("its slots", || server.try_cli(&["CLUSTER", "ADDSLOTSRANGE", "0", &(slots - 1).to_string()]));
        until("the cluster to serve", || {
            server.try_cli(&["CLUSTER", "INFO"]).filter(|info| info.starts_with("cluster_state:ok"))
        });
        server
    }

    fn with(port: u16, lines: &[&str], folder: Option<PathBuf>) -> Self {
        let program = std::env::var("HOLDFAST_TEST_SERVER").ok().filter(|program| !program.is_empty());
        let child = Command::new(program.as_deref().unwrap_or("redis-server"))
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
                "--bind",
                "127.0.0.1",
                "--daemonize",
                "no",
            ])
            .args(lines)
            .current_dir(folder.as_deref().unwrap_or(Path::new(".")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server must be installed for these tests");
        let server = Self { child, port, folder };
        until("the server to answer", || server.try_cli(&["PING"]).filter(|out| out == "PONG"));
        server
    }

    pub fn url(&self) -> Option<String> {
        Some(format!("redis://127.0.0.1:{}", self.port))
    }

    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("a valid URL");
        client.get_connection().expect("the server is up")
    }

    fn try_cli(&self, args: &[&str]) -> Option<String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).ok()?;
        let mut connection = client.get_connection().ok()?;
        let mut command = redis::cmd(args[0]);
        for arg in &args[1..] {
            command.arg(arg);
        }
        command.query(&mut connection).ok()
    }

    pub fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(done.success());
    }

    pub fn end(mut self) -> u16 {
        self.kill();
        self.port
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}
