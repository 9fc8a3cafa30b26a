//! The commands that the model knows, by their names.

use crate::server::Id;
use crate::server::Server;
use crate::server::cluster;
use crate::server::command::{
    ALLOW_BUSY, Command, DENYOOM, Keys, LOADING, NO_AUTH, NO_QUEUE, NOSCRIPT, READONLY, WRITE,
};
use crate::server::commands::{connection, keys, server, strings};
use crate::server::reply::Reply;
use crate::server::scripts;

/// What the first words name.
pub enum Found {
    Command(&'static Command),
    /// The first word is a family, and the second none of its commands.
    NoSubcommand,
    Unknown,
}

pub fn find(words: &[&[u8]]) -> Found {
    let [name, rest @ ..] = words else { return Found::Unknown };
    let family = FAMILIES.iter().find(|family| name.eq_ignore_ascii_case(family.name.as_bytes()));
    let Some(family) = family else {
        let is = |of: &&Command| of.name.len() == name.len() && name.eq_ignore_ascii_case(of.name.as_bytes());
        let command = COMMANDS.iter().find(is);
        return command.map_or(Found::Unknown, Found::Command);
    };
    let Some(sub) = rest.first() else { return Found::Command(family) };
    let is = |command: &&Command| {
        let (of, named) = command.name.split_once('|').unwrap_or_default();
        of == family.name && sub.eq_ignore_ascii_case(named.as_bytes())
    };
    SUBCOMMANDS.iter().find(is).map_or(Found::NoSubcommand, Found::Command)
}

/// All of them, for the test that compares them with the real server's.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().chain(SUBCOMMANDS).chain(FAMILIES)
}

type Run = fn(&mut Server, Id, &[&[u8]]) -> Reply;

const fn command(name: &'static str, arity: i32, flags: u16, keys: Keys, run: Run) -> Command {
    Command { name, arity, flags, keys, run }
}

const CONNECTION: u16 = NOSCRIPT | LOADING;
const GREETING: u16 = CONNECTION | ALLOW_BUSY | NO_AUTH;
const TRANSACTION: u16 = CONNECTION | NO_QUEUE;

/// The most used ones first.
static COMMANDS: &[Command] = &[
    command("get", 2, READONLY, Keys::First, strings::get),
    command("mget", -2, READONLY, Keys::All, strings::mget),
    command("echo", 2, LOADING, Keys::None, connection::echo),
    command("pttl", 2, READONLY, Keys::First, keys::pttl),
    command("set", -3, WRITE | DENYOOM, Keys::First, strings::set),
    command("evalsha", -3, NOSCRIPT, Keys::Counted, scripts::evalsha),
    command("unlink", -2, WRITE, Keys::All, keys::del),
    command("del", -2, WRITE, Keys::All, keys::del),
    command("eval", -3, NOSCRIPT, Keys::Counted, scripts::eval),
    command("pexpire", -3, WRITE, Keys::First, keys::pexpire),
    command("incrby", 3, WRITE | DENYOOM, Keys::First, strings::incrby),
    command("getrange", 4, READONLY, Keys::First, strings::getrange),
    command("scan", -2, READONLY, Keys::None, keys::scan),
    command("multi", 1, TRANSACTION | ALLOW_BUSY, Keys::None, connection::multi),
    command("exec", 1, TRANSACTION, Keys::None, connection::exec),
    command("discard", 1, TRANSACTION | ALLOW_BUSY, Keys::None, connection::discard),
    command("ping", -1, 0, Keys::None, connection::ping),
    command("hello", -1, GREETING, Keys::None, connection::hello),
    command("auth", -2, GREETING, Keys::None, connection::auth),
    command("select", 2, LOADING, Keys::None, connection::select),
    command("info", -1, LOADING, Keys::None, server::info),
    command("role", 1, CONNECTION, Keys::None, server::role),
    command("exists", -2, READONLY, Keys::All, keys::exists),
    command("ttl", 2, READONLY, Keys::First, keys::ttl),
    command("strlen", 2, READONLY, Keys::First, strings::strlen),
    command("getdel", 2, WRITE, Keys::First, strings::getdel),
    command("persist", 2, WRITE, Keys::First, keys::persist),
    command("expire", -3, WRITE, Keys::First, keys::expire),
    command("expireat", -3, WRITE, Keys::First, keys::expireat),
    command("pexpireat", -3, WRITE, Keys::First, keys::pexpireat),
    command("flushall", -1, WRITE, Keys::None, server::flushall),
    command("flushdb", -1, WRITE, Keys::None, server::flushdb),
    command("dbsize", 1, READONLY, Keys::None, server::dbsize),
    command("hset", -4, WRITE | DENYOOM, Keys::First, strings::hset),
    command("asking", 1, 0, Keys::None, cluster::asking),
    command("quit", -1, GREETING | NO_QUEUE, Keys::None, connection::quit),
];

/// Their own names do nothing.
static FAMILIES: &[Command] = &[
    command("client", -2, 0, Keys::None, connection::ping),
    command("script", -2, 0, Keys::None, connection::ping),
    command("cluster", -2, 0, Keys::None, connection::ping),
];

static SUBCOMMANDS: &[Command] = &[
    command("client|id", 2, CONNECTION, Keys::None, connection::client_id),
    command("client|setname", 3, CONNECTION, Keys::None, connection::client_setname),
    command("client|getname", 2, CONNECTION, Keys::None, connection::client_getname),
    command("client|tracking", -3, CONNECTION, Keys::None, connection::client_tracking),
    command("client|kill", -3, CONNECTION, Keys::None, connection::client_kill),
    command("client|no-evict", 3, CONNECTION, Keys::None, connection::client_no_evict),
    command("cluster|slots", 2, 0, Keys::None, cluster::slots),
    command("cluster|info", 2, 0, Keys::None, cluster::info),
    command("script|load", 3, NOSCRIPT, Keys::None, scripts::load),
    command("script|exists", -3, NOSCRIPT, Keys::None, scripts::exists),
    command("script|flush", -2, NOSCRIPT, Keys::None, scripts::flush),
];
