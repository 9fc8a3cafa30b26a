//! EVAL, EVALSHA and SCRIPT, for the package's own scripts and the checker's probe: known by their texts, which the
//! engine itself is asked for, and executed natively (natives.rs).
//!
//! What a script calls passes the checks that Redis makes for calls of scripts: the ACL, and what refuses writes as
//! long as the script has written nothing. An error ends the script and says which script it was.

mod natives;

use std::sync::LazyLock;

use holdfast::engine::base::clock::Ttl;
use holdfast::engine::base::key::Prefix;
use holdfast::engine::exchange::{expiry, tokens, writes};
use holdfast::engine::net::denied::Denied;
use holdfast::engine::once::lease::{self, Holder};
use redis::{Arg, Cmd};

use crate::server::Id;
use crate::server::Server;
use crate::server::command;
use crate::server::commands::{either, integer, is, syntax};
use crate::server::faults;
use crate::server::reply::{OK, Reply, error};
use natives::Native;

/// What lies at a key and its time left in one moment: what the checker on real servers asks with.
pub const PROBE: &str = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}";

struct Known {
    native: Native,
    text: Vec<u8>,
    hash: String,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let holder = Holder { engine: 0, token: 0 };
    let mut probes = redis::Pipeline::new();
    lease::probe(&mut probes, "");
    let probe = probes.cmd_iter().nth(1).cloned().unwrap_or_default();
    let texts = [
        (Native::Acquire, lease::acquire(true, "", holder, b"")),
        (Native::Store, lease::store("", b"", b"", Ttl::Forever)),
        (Native::Renew, lease::renew(true, "", holder)),
        (Native::Replace, lease::replace("", "", b"", b"", b"", Ttl::Forever)),
        (Native::Take, lease::take(true, "", "", b"", holder)),
        (Native::Try, probe),
        (Native::Expire, expiry::expire(true, &Prefix::new(""), "", Ttl::Forever)),
        (Native::ExpireSame, expiry::expire_same("", b"", Ttl::Forever, 0)),
        (Native::EndTag, tokens::end("", "", 0)),
        (Native::TakeBack, writes::take_back("", 0, Denied::default())),
    ];
    let own = [(Native::Found, PROBE.as_bytes().to_vec()), (Native::One, b"return 1".to_vec())];
    let texts = texts.into_iter().map(|(native, command)| (native, text_of(&command))).chain(own);
    texts.map(|(native, text)| Known { native, hash: hash(&text), text }).collect()
});

/// The word behind EVAL.
fn text_of(command: &Cmd) -> Vec<u8> {
    match command.args_iter().nth(1) {
        Some(Arg::Simple(text)) => text.to_vec(),
        _ => Vec::new(),
    }
}

fn hash(text: &[u8]) -> String {
    redis::Script::new(&String::from_utf8_lossy(text)).get_hash().to_owned()
}

fn by_hash(hash: &[u8]) -> Option<usize> {
    KNOWN.iter().position(|known| hash.eq_ignore_ascii_case(known.hash.as_bytes()))
}

fn by_text(text: &[u8]) -> Option<usize> {
    KNOWN.iter().position(|known| known.text == text)
}

/// Which of the known scripts a server has seen, by their places.
pub type Seen = Vec<usize>;

impl Server {
    fn see(&mut self, script: usize) {
        if !self.scripts.contains(&script) {
            self.scripts.push(script);
        }
    }
}

pub fn eval(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(checked(words).and_then(|()| {
        let unknown = || error("ERR the model of the server does not know this script");
        let script = by_text(words[1]).ok_or_else(unknown)?;
        server.see(script);
        Ok(run(server, id, script, words))
    }))
}

pub fn evalsha(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(checked(words).and_then(|()| {
        let seen = by_hash(words[1]).filter(|script| server.scripts.contains(script));
        let script = seen.ok_or_else(|| error(faults::NOSCRIPT))?;
        Ok(run(server, id, script, words))
    }))
}

/// Whether the number of keys is one.
fn checked(words: &[&[u8]]) -> Result<(), Reply> {
    let count = integer(words[2])?;
    if count > i64::try_from(words.len() - 3).unwrap_or(i64::MAX) {
        return Err(error("ERR Number of keys can't be greater than number of args"));
    }
    if count < 0 { Err(error("ERR Number of keys can't be negative")) } else { Ok(()) }
}

fn run(server: &mut Server, id: Id, script: usize, words: &[&[u8]]) -> Reply {
    let Some(known) = KNOWN.get(script) else { return Reply::Nil };
    let count = integer(words[2]).ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let (keys, args) = words[3..].split_at(count);
    let mut running = Running { server, id, keys, args, wrote: false };
    match natives::run(known.native, &mut running) {
        Ok(reply) => reply,
        Err(words) => error(format!("{words} script: {}, on @user_script:1.", known.hash)),
    }
}

/// A script that runs.
struct Running<'a> {
    server: &'a mut Server,
    id: Id,
    keys: &'a [&'a [u8]],
    args: &'a [&'a [u8]],
    /// It called a command that writes: from there on nothing stops it in the middle.
    wrote: bool,
}

impl Running<'_> {
    /// KEYS and ARGV, from 1; an empty text where there is none.
    fn key(&self, at: usize) -> Vec<u8> {
        self.keys.get(at - 1).map(|key| key.to_vec()).unwrap_or_default()
    }

    fn arg(&self, at: usize) -> Vec<u8> {
        self.args.get(at - 1).map(|arg| arg.to_vec()).unwrap_or_default()
    }

    /// `redis.call`: what it returns, or the error that ends the script.
    fn call(&mut self, words: &[&[u8]]) -> Result<Reply, String> {
        let command = Server::known(words)?;
        if command.is(command::NOSCRIPT) {
            return Err("ERR This Redis command is not allowed from script".to_owned());
        }
        if let Some(denied) = self.server.denial(self.id, command, words) {
            let key = "ERR The user executing the script can't access at least one of the keys mentioned in the \
                command arguments";
            let whole = "ERR The user executing the script can't run this command or subcommand";
            return Err(if denied == faults::DENIED_KEY { key } else { whole }.to_owned());
        }
        let faults = &self.server.faults;
        if !self.wrote {
            let refusals = [
                (self.server.is_replica(), command::WRITE, faults::READONLY),
                (faults.misconf, command::WRITE, faults::MISCONF),
                (faults.noreplicas, command::WRITE, faults::NOREPLICAS),
                (faults.oom, command::DENYOOM, faults::OOM),
            ];
            if let Some((.., words)) = refusals.iter().find(|(on, flag, _)| *on && command.is(*flag)) {
                return Err((*words).to_owned());
            }
        }
        self.wrote |= command.is(command::WRITE);
        let reply = self.server.nest(self.id, command, words);
        if self.server.tracks_script_reads {
            self.server.read(self.id, command, command.keys(words));
        } else {
            self.server.read(self.id, command, self.keys.iter().copied());
        }
        match reply {
            Reply::Error(words) => Err(words.into_owned()),
            Reply::Int(number) => Ok(Reply::Int(as_lua(number))),
            reply => Ok(reply),
        }
    }
}

/// A number that went through Lua, whose numbers are doubles: what is too large for the way back is the least there is.
fn as_lua(number: i64) -> i64 {
    let double = number as f64;
    if double >= i64::MAX as f64 { i64::MIN } else { double as i64 }
}

pub fn load(server: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    match by_text(words[2]) {
        Some(script) => {
            server.see(script);
            Reply::text(&KNOWN.get(script).map_or_else(String::new, |known| known.hash.clone()))
        }
        None => Reply::text(&hash(words[2])),
    }
}

pub fn exists(server: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    let seen = |hash: &&[u8]| by_hash(hash).is_some_and(|script| server.scripts.contains(&script));
    Reply::Array(words[2..].iter().map(|hash| Reply::Int(i64::from(seen(hash)))).collect())
}

pub fn flush(server: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    match words[2..] {
        [] => {}
        [how] if is(how, "ASYNC") || is(how, "SYNC") => {}
        [_] => return error("ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        _ => return syntax(),
    }
    server.scripts.clear();
    OK
}
