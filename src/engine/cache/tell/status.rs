//! What the engine is doing, as `getMode()` and `health()` tell it without I/O, and who is told when it changes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::engine::base::clock::wall_ms;
use crate::engine::base::error::Trouble;
use crate::engine::call::sink::Sink;

/// The mode as callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Initializing,
    Redis,
    Memory,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Redis => "redis",
            Self::Memory => "memory",
        }
    }
}

/// What the server said of itself when the connection was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub version: Option<String>,
    pub run_id: Option<String>,
}

struct Inner {
    mode: Mode,
    since: u64,
    last_error: Option<(Trouble, u64)>,
    identity: Identity,
    connections: u64,
    outage_since: Option<u64>,
    /// A dial or a recovery is under way.
    probing: bool,
    /// What this connection cannot do, for those who come after it was found out.
    notice: Option<Trouble>,
    /// What was told by `notice_once`.
    told: Vec<Cow<'static, str>>,
    listeners: Vec<Weak<dyn Sink>>,
}

impl Inner {
    fn turn(&mut self, mode: Mode) {
        if self.mode != mode {
            (self.mode, self.since) = (mode, wall_ms().max(self.since + 1));
        }
    }
}

/// The status of one engine.
pub struct Status {
    /// Names the engine in events.
    id: u32,
    inner: Mutex<Inner>,
    /// The prefixes of namespaces of which the server denies keys; and whether there are any, which spares each write
    /// the lock.
    denied: Mutex<HashSet<Box<str>>>,
    denies_any: AtomicBool,
}

/// So many different notices are told once each; a server that says something else each time is not listened to for
/// ever.
const MAX_TOLD: usize = 64;

impl Status {
    pub fn new(id: u32, mode: Mode) -> Self {
        let inner = Inner {
            mode,
            since: wall_ms(),
            last_error: None,
            identity: Identity::default(),
            connections: 0,
            outage_since: None,
            probing: true,
            notice: None,
            told: Vec::new(),
            listeners: Vec::new(),
        };
        Self { id, inner: Mutex::new(inner), denies_any: AtomicBool::new(false), denied: Mutex::default() }
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn mode(&self) -> Mode {
        self.inner.lock().mode
    }

    pub fn identity(&self) -> Identity {
        self.inner.lock().identity.clone()
    }

    /// The mode, and connections made after the first, at one moment.
    pub fn standing(&self) -> (Mode, u64) {
        let inner = self.inner.lock();
        (inner.mode, inner.connections.saturating_sub(1))
    }

    /// Connections made after the first.
    pub fn reconnects(&self) -> u64 {
        self.inner.lock().connections.saturating_sub(1)
    }

    /// Tells an environment of changes, once however often it asks; and of what it missed, as the first dial may end
    /// before anybody listens.
    pub fn subscribe(&self, sink: Weak<dyn Sink>) {
        let mut inner = self.inner.lock();
        // Threads come and go, and there may be nothing to tell for months.
        inner.listeners.retain(|known| known.strong_count() > 0);
        if inner.listeners.iter().any(|known| known.ptr_eq(&sink)) {
            return;
        }
        let missed = sink.upgrade();
        if inner.outage_since.is_some()
            && let Some(sink) = &missed
            && let Some((trouble, _)) = &inner.last_error
        {
            sink.event(self.message("fallback", describe(trouble)));
        }
        if inner.mode == Mode::Redis
            && let Some(sink) = &missed
        {
            sink.event(self.message("ready", json!({})));
            if let Some(notice) = &inner.notice {
                sink.event(self.message("error", describe(notice)));
            }
        }
        inner.listeners.push(sink);
    }

    /// How many environments are told.
    pub fn listeners(&self) -> usize {
        self.inner.lock().listeners.len()
    }

    /// Something to know that changes nothing, while this connection lasts.
    pub fn notice(&self, trouble: &Trouble) {
        let mut inner = self.inner.lock();
        inner.notice = Some(trouble.clone());
        inner.last_error = Some((trouble.clone(), wall_ms()));
        self.tell(&mut inner, "error", describe(trouble));
    }

    /// As `notice`, for what was told already: it is still so on this connection.
    pub fn remind(&self, trouble: &Trouble) {
        let mut inner = self.inner.lock();
        inner.notice = Some(trouble.clone());
        inner.last_error = Some((trouble.clone(), wall_ms()));
    }

    /// As `notice`, for what many calls find out, one after the other: told once in the life of the engine.
    pub fn notice_once(&self, trouble: &Trouble) {
        let mut inner = self.inner.lock();
        inner.notice = Some(trouble.clone());
        inner.last_error = Some((trouble.clone(), wall_ms()));
        if inner.told.len() < MAX_TOLD && !inner.told.contains(&trouble.message) {
            inner.told.push(trouble.message.clone());
            self.tell(&mut inner, "error", describe(trouble));
        }
    }

    /// The server denies keys behind `prefix`, until one of them is stored, or the next connection.
    pub fn deny_keys(&self, prefix: &str) {
        self.denied.lock().insert(prefix.into());
        self.denies_any.store(true, Relaxed);
    }

    /// A key behind `prefix` was stored.
    pub fn allow_keys(&self, prefix: &str) {
        if self.denies_any.load(Relaxed) {
            let mut denied = self.denied.lock();
            denied.remove(prefix);
            self.denies_any.store(!denied.is_empty(), Relaxed);
        }
    }

    pub fn denies_keys(&self, prefix: &str) -> bool {
        self.denies_any.load(Relaxed) && self.denied.lock().contains(prefix)
    }

    /// Something that went wrong and is over.
    pub fn tell_error(&self, trouble: &Trouble) {
        let mut inner = self.inner.lock();
        self.tell(&mut inner, "error", describe(trouble));
    }

    /// Redis is away.
    pub fn down(&self, trouble: &Trouble) {
        let mut inner = self.inner.lock();
        inner.last_error = Some((trouble.clone(), wall_ms()));
        if inner.mode == Mode::Memory {
            return;
        }
        inner.mode = Mode::Memory;
        inner.since = wall_ms();
        inner.outage_since = Some(inner.since);
        self.tell(&mut inner, "fallback", describe(trouble));
    }

    /// Redis is there; `dropped` entries of the fallback tier went, and `replayed` keys of the journal.
    pub fn up(&self, identity: Identity, dropped: usize, replayed: u64) {
        let mut inner = self.inner.lock();
        let first = inner.connections == 0;
        inner.connections += 1;
        inner.identity = identity;
        inner.last_error = None;
        inner.notice = None;
        self.denied.lock().clear();
        self.denies_any.store(false, Relaxed);
        inner.mode = Mode::Redis;
        inner.since = wall_ms();
        let outage = inner.outage_since.take();
        if first {
            self.tell(&mut inner, "ready", json!({}));
        }
        if let Some(began) = outage {
            let outage_ms = inner.since.saturating_sub(began);
            self.tell(
                &mut inner,
                "recovered",
                json!({ "outageMs": outage_ms, "dropped": dropped, "replayed": replayed }),
            );
        }
    }

    /// One of several servers is away; `news`: it was not before. `all`: whether so are the others, where each has been
    /// tried once.
    pub fn node_down(&self, node: &str, trouble: &Trouble, news: bool, all: Option<bool>) {
        let mut inner = self.inner.lock();
        inner.last_error = Some((trouble.clone(), wall_ms()));
        match all {
            Some(true) => inner.turn(Mode::Memory),
            Some(false) if inner.mode == Mode::Initializing => {
                inner.turn(Mode::Redis);
                self.tell(&mut inner, "ready", json!({}));
            }
            _ => {}
        }
        if news {
            self.tell(&mut inner, "fallback", named(describe(trouble), node));
        }
    }

    /// One of several servers is in use; since when it was away, if it was. `known`: each has been tried once.
    pub fn node_up(
        &self,
        node: &str,
        since: Option<u64>,
        identity: Identity,
        (dropped, replayed): (usize, u64),
        (known, well): (bool, bool),
    ) {
        let mut inner = self.inner.lock();
        if well {
            inner.last_error = None;
        }
        // Of each, those behind its first.
        inner.connections += u64::from(inner.connections == 0 || since.is_some());
        inner.identity = identity;
        let first = inner.mode == Mode::Initializing;
        if known || !first {
            inner.turn(Mode::Redis);
        }
        if known && first {
            self.tell(&mut inner, "ready", json!({}));
        }
        if let Some(began) = since {
            let outage_ms = wall_ms().saturating_sub(began);
            let told = json!({ "outageMs": outage_ms, "dropped": dropped, "replayed": replayed });
            self.tell(&mut inner, "recovered", named(told, node));
        }
    }

    /// The connection is made anew elsewhere, without an outage: what was asked of the mode before is of another one.
    pub fn moving(&self) {
        let mut inner = self.inner.lock();
        inner.since = wall_ms().max(inner.since + 1);
    }

    /// A dial begins, or the pause before the next one.
    pub fn probing(&self, probing: bool) {
        self.inner.lock().probing = probing;
    }

    /// What `health()` needs of it.
    pub fn health(&self) -> Value {
        let inner = self.inner.lock();
        let last_error = inner
            .last_error
            .as_ref()
            .map(|(trouble, at)| json!({ "kind": trouble.kind.name(), "message": trouble.message, "at": at }));
        let breaker = match inner.mode {
            Mode::Redis => "closed",
            _ if inner.probing => "half-open",
            _ => "open",
        };
        json!({ "mode": inner.mode.name(), "since": inner.since, "lastError": last_error, "breaker": breaker })
    }

    fn message(&self, event: &str, detail: Value) -> String {
        json!({ "engine": self.id, "event": event, "detail": detail }).to_string()
    }

    fn tell(&self, inner: &mut Inner, event: &str, detail: Value) {
        let message = self.message(event, detail);
        inner.listeners.retain(|sink| match sink.upgrade() {
            Some(sink) => {
                sink.event(message.clone());
                true
            }
            None => false,
        });
    }
}

fn named(mut detail: Value, node: &str) -> Value {
    detail["node"] = Value::from(node);
    detail
}

fn describe(trouble: &Trouble) -> Value {
    json!({ "kind": trouble.kind.name(), "message": trouble.message })
}
