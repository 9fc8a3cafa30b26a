//! What this server does not let this user do: tried when connecting, said once, in words that say what does not work
//! without it.
//!
//! Each command that later work relies on is tried at a key of the first cache's own namespace, where nothing lies, in
//! a form that changes nothing there. What the reply says is told apart: the ACL denies the command, or the key; the
//! server does not know the command. A key that is denied says nothing against its command: other caches of the
//! connection have other namespaces.
//!
//! Two keys of different slots go to MGET and UNLINK: a server in cluster mode that hid its mode refuses that with
//! CROSSSLOT. Where it is known to be one, both are the same, and what lies elsewhere (MOVED) is no word on the
//! command: an ACL speaks first.

use std::mem::take;

use redis::{Pipeline, Value};

use crate::engine::net::reply::Denial;
use crate::engine::once::lease;

/// Behind the prefix: keys that nobody has, in two slots.
const PROBES: [&str; 2] = ["\0holdfast\0probe\0a", "\0holdfast\0probe\0b"];

/// The number of no connection: servers count them from 1.
const NOBODY: i64 = i64::MAX;

/// Whether something may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lack {
    #[default]
    None,
    /// The ACL denies the command.
    Denied,
    /// The server does not know it.
    Unknown,
    /// The ACL denies the key at which it was tried, and not the command.
    Key,
    /// Options say to do without it.
    Unwanted,
}

impl Lack {
    /// Whether the command is not to be had at all.
    pub fn is(self) -> bool {
        matches!(self, Self::Denied | Self::Unknown | Self::Unwanted)
    }

    fn of(reply: Option<&Value>) -> Self {
        let Some(Value::ServerError(error)) = reply else { return Self::None };
        match Denial::by(error) {
            Some(Denial::Unknown(_)) => Self::Unknown,
            Some(Denial::Command(_)) => Self::Denied,
            Some(Denial::Key) => Self::Key,
            Some(Denial::Channel | Denial::Database) | None => Self::None,
        }
    }

    /// Of a command that never fails for a reason of its own.
    pub fn of_refusal(reply: &Value) -> Self {
        match reply {
            Value::ServerError(_) => Self::of(Some(reply)).or(Self::Unknown),
            _ => Self::None,
        }
    }

    /// The worse of two: a denied key says less than a denied command.
    fn or(self, other: Self) -> Self {
        if self.is() || other == Self::None { self } else { other }
    }
}

/// What this connection does without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Denied {
    pub unlink: Lack,
    pub del: Lack,
    pub mget: Lack,
    pub get: Lack,
    pub set: Lack,
    pub scan: Lack,
    /// The older protocol is spoken.
    pub hello: Lack,
    pub client: Lack,
    /// The number by which the server knows a connection.
    pub id: Lack,
    /// To end a connection by its number.
    pub kill: Lack,
    pub tracking: Lack,
    pub scripts: Lack,
    pub echo: Lack,
    pub pttl: Lack,
    pub pexpire: Lack,
    pub getrange: Lack,
    pub getdel: Lack,
    pub exec: Lack,
    /// Several keys in one command.
    pub many: Lack,
}

impl Denied {
    /// The commands that try it out, at keys behind `prefix`.
    pub fn probe(pipe: &mut Pipeline, prefix: &str, is_cluster: bool) {
        let [key, mut other] = PROBES.map(|probe| [prefix, probe].concat());
        if is_cluster {
            other.clone_from(&key);
        }
        pipe.cmd("CLIENT").arg("SETNAME").arg("holdfast");
        pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(NOBODY);
        pipe.cmd("SCAN").arg(0).arg("MATCH").arg(&key).arg("COUNT").arg(1);
        pipe.cmd("UNLINK").arg(&key).arg(&other);
        pipe.cmd("DEL").arg(&key);
        pipe.cmd("MGET").arg(&key).arg(&other);
        pipe.cmd("GET").arg(&key);
        pipe.cmd("SET").arg(&key).arg("").arg("XX").arg("PX").arg(1);
        pipe.cmd("PTTL").arg(&key);
        pipe.cmd("PEXPIRE").arg(&key).arg(1);
        pipe.cmd("GETRANGE").arg(&key).arg(0).arg(0);
        pipe.cmd("GETDEL").arg(&key);
        // Without a MULTI it does nothing.
        pipe.cmd("EXEC");
        lease::probe(pipe, &key);
    }

    /// What the replies to `probe` say.
    pub fn heard(replies: &mut impl Iterator<Item = Value>, echo: Lack) -> Self {
        let mut next = || Lack::of(replies.next().as_ref());
        let mut denied = Self {
            client: next(),
            kill: next(),
            scan: next(),
            unlink: next(),
            del: next(),
            mget: next(),
            get: next(),
            set: next(),
            pttl: next(),
            pexpire: next(),
            getrange: next(),
            getdel: next(),
            exec: next(),
            echo,
            scripts: Lack::None,
            hello: Lack::None,
            id: Lack::None,
            tracking: Lack::None,
            many: Lack::None,
        };
        for _ in 0..lease::PROBES {
            denied.scripts = denied.scripts.or(next());
        }
        denied
    }

    /// What there is not, and what that means; empty where there is all.
    pub fn commands(self) -> String {
        let delete = match (self.unlink.is(), self.del.is()) {
            (true, true) => {
                "UNLINK and DEL (what is deleted stays in Redis, and reads as a miss here until it is replaced)"
            }
            (false, true) => "DEL (leases are not given up early)",
            _ => "UNLINK (DEL is used)",
        };
        let end = match (self.id.is(), self.kill.is()) {
            (true, true) => "CLIENT ID and CLIENT KILL",
            (true, false) => "CLIENT ID",
            _ => "CLIENT KILL",
        };
        let end = format!("{end} (what a lost connection had sent may still be executed behind the recovery)");
        let parts = [
            (self.scan, "SCAN (delPattern and clear cannot remove keys in Redis; scan names no key)"),
            (self.unlink.or(self.del), delete),
            (
                self.scripts,
                "EVAL, EVALSHA or what scripts call (getOrCompute computes once a process, not once in all; \
                    expire asks first and sets then)",
            ),
            (self.get, "GET (each single read is a miss)"),
            (self.mget, "MGET (GET is used)"),
            (self.set, "SET (nothing is stored)"),
            (
                self.pttl,
                "PTTL (ttl knows nothing, nothing is kept in process, and an entry with swr or grace is a miss)",
            ),
            (self.pexpire, "PEXPIRE (expire does nothing)"),
            (self.getrange, "GETRANGE (exists, ttl and expire know nothing)"),
            (self.getdel, "GETDEL (take reads and removes in a transaction)"),
            (self.exec, "EXEC (a counter with a ttl is made in two steps, and take asks for the time left first)"),
            (self.echo, "ECHO (a reply too many or too few among reads is not noticed)"),
            (self.hello, "HELLO (RESP2 is spoken: nothing is kept in process while Redis is up)"),
            (self.client, "CLIENT SETNAME (the connection has no name)"),
            (self.id.or(self.kill), &end),
            (self.tracking, "CLIENT TRACKING (nothing is kept in process while Redis is up)"),
        ];
        let of = |which: Lack| {
            let named = parts.iter().filter(|(lack, _)| *lack == which).map(|(_, what)| *what);
            named.collect::<Vec<_>>().join(", ")
        };
        let mut message = String::new();
        for (which, begins) in [
            (Lack::Denied, "the server's ACL denies this user: "),
            (Lack::Unknown, "the server does not know (renamed away, or too old a server): "),
        ] {
            let mut what = of(which);
            if !what.is_empty() {
                let between = if message.is_empty() { "" } else { "; " };
                message.extend([between, begins, &take(&mut what)]);
            }
        }
        message
    }
}
