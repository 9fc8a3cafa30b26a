//! Commands about the connection: who it is, what it speaks, whom it tracks, what it gathers between MULTI and EXEC.

use crate::server::Server;
use crate::server::client::{Client, Transaction, Watch};
use crate::server::commands::server::VERSION;
use crate::server::commands::{either, integer, is, syntax};
use crate::server::faults;
use crate::server::inbound::number;
use crate::server::reply::{OK, Reply, error};
use crate::server::{FOREIGN, Id};

/// Databases, as Redis has them by default.
const DATABASES: i64 = 16;

pub fn ping(_: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    match words {
        [_] => Reply::Simple("PONG"),
        [_, text] => Reply::Bulk(text.to_vec()),
        _ => error("ERR wrong number of arguments for 'ping' command"),
    }
}

pub fn echo(_: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    Reply::Bulk(words[1].to_vec())
}

pub fn quit(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    with(server, id, |client| {
        client.closing = true;
        OK
    })
}

pub fn select(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let database = match integer(words[1]) {
        Ok(database) => database,
        Err(reply) => return reply,
    };
    match usize::try_from(database).ok().filter(|_| database < DATABASES) {
        Some(database) => with(server, id, |client| {
            client.database = database;
            OK
        }),
        None => error("ERR DB index is out of range"),
    }
}

fn with(server: &mut Server, id: Id, act: impl FnOnce(&mut Client) -> Reply) -> Reply {
    server.clients.get_mut(id).map_or(Reply::Nil, act)
}

pub fn auth(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    match *words {
        [_, password] if server.faults.password.is_some() => log_in(server, id, b"default", password),
        [_, _] => error(faults::NO_PASSWORD),
        [_, user, password] => log_in(server, id, user, password),
        _ => syntax(),
    }
}

fn log_in(server: &mut Server, id: Id, user: &[u8], password: &[u8]) -> Reply {
    if user != b"default" || server.faults.password.as_ref().is_some_and(|right| right != password) {
        return error(faults::WRONGPASS);
    }
    with(server, id, |client| {
        client.authenticated = true;
        OK
    })
}

pub fn hello(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(greeted(server, id, words))
}

fn greeted(server: &mut Server, id: Id, words: &[&[u8]]) -> Result<Reply, Reply> {
    let version = match words.get(1).map(|word| number(word)) {
        None => None,
        Some(Some(version @ (2 | 3))) => Some(version),
        Some(Some(_)) => return Err(error("NOPROTO unsupported protocol version")),
        Some(None) => return Err(error("ERR Protocol version is not an integer or out of range")),
    };
    let (mut user, mut name) = (None, None);
    let mut rest = words.get(2..).unwrap_or_default();
    loop {
        rest = match rest {
            [] => break,
            [word, of, password, rest @ ..] if is(word, "AUTH") => {
                user = Some((of, password));
                rest
            }
            [word, of, rest @ ..] if is(word, "SETNAME") => {
                name = Some(*of);
                rest
            }
            [word, ..] => {
                return Err(error(format!("ERR Syntax error in HELLO option '{}'", String::from_utf8_lossy(word))));
            }
        };
    }
    if let Some((user, password)) = user {
        let reply = log_in(server, id, user, password);
        if reply.is_error() {
            return Err(reply);
        }
    }
    let role = if server.says_replica() { "replica" } else { "master" };
    let is_node = server.cluster.is_some();
    let Some(client) = server.clients.get_mut(id) else { return Ok(Reply::Nil) };
    if !client.authenticated {
        return Err(error(faults::HELLO_NOAUTH));
    }
    if let Some(name) = name {
        set_name(client, name)?;
    }
    if let Some(version) = version {
        client.resp3 = version == 3;
    }
    Ok(Reply::Map(vec![
        ("server", Reply::text("redis")),
        ("version", Reply::text(VERSION)),
        ("proto", Reply::Int(if client.resp3 { 3 } else { 2 })),
        ("id", Reply::Int(i64::try_from(client.number).unwrap_or(i64::MAX))),
        ("mode", Reply::text(if is_node { "cluster" } else { "standalone" })),
        ("role", Reply::text(role)),
        ("modules", Reply::Array(Vec::new())),
    ]))
}

fn set_name(client: &mut Client, name: &[u8]) -> Result<Reply, Reply> {
    if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(error("ERR Client names cannot contain spaces, newlines or special characters."));
    }
    client.name = name.to_vec();
    Ok(OK)
}

pub fn client_setname(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    with(server, id, |client| either(set_name(client, words[2])))
}

pub fn client_getname(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    with(server, id, |client| if client.name.is_empty() { Reply::Nil } else { Reply::Bulk(client.name.clone()) })
}

pub fn client_id(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    with(server, id, |client| Reply::Int(i64::try_from(client.number).unwrap_or(i64::MAX)))
}

pub fn client_no_evict(_: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    if is(words[2], "ON") || is(words[2], "OFF") { OK } else { syntax() }
}

pub fn client_tracking(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    let noloop = match words[3..] {
        [] => false,
        [option] if is(option, "NOLOOP") => true,
        _ => return syntax(),
    };
    let watch = match words[2] {
        on if is(on, "ON") => Some(Watch { noloop }),
        off if is(off, "OFF") => None,
        _ => return syntax(),
    };
    with(server, id, |client| {
        client.tracking = watch;
        OK
    })
}

pub fn client_kill(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    either(killed(server, id, &words[2..]))
}

fn killed(server: &mut Server, id: Id, filters: &[&[u8]]) -> Result<Reply, Reply> {
    if let [_] = filters {
        // By its address: connections have none here.
        return Err(error("ERR No such client"));
    }
    let (mut number, mut skip_me, mut of_type) = (None, true, true);
    for filter in filters.chunks(2) {
        let [name, value] = filter else { return Err(syntax()) };
        if is(name, "ID") {
            let wanted = integer_id(value)?;
            number = Some(wanted);
        } else if is(name, "TYPE") {
            let known = ["normal", "master", "slave", "replica", "pubsub"].iter().find(|kind| is(value, kind));
            let Some(kind) = known else {
                return Err(error(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(value))));
            };
            of_type = *kind == "normal";
        } else if is(name, "SKIPME") && (is(value, "YES") || is(value, "NO")) {
            skip_me = is(value, "YES");
        } else {
            return Err(syntax());
        }
    }
    let mut count = 0;
    for (other, client) in server.clients.iter_mut().enumerate() {
        let meant = of_type && number.is_none_or(|number| number == client.number);
        if other == FOREIGN || !client.open || !meant || skip_me && other == id {
            continue;
        }
        count += 1;
        if other == id {
            client.closing = true;
        } else {
            // What was not sent yet is lost.
            client.output.clear();
            client.close();
        }
    }
    Ok(Reply::Int(count))
}

fn integer_id(word: &[u8]) -> Result<u64, Reply> {
    let number = number(word).and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| error("ERR client-id should be greater than 0"))
}

pub fn multi(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    match server.clients.get_mut(id) {
        Some(client) if client.transaction.is_none() => {
            client.transaction = Some(Transaction::default());
            OK
        }
        _ => error("ERR MULTI calls can not be nested"),
    }
}

pub fn discard(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    match server.clients.get_mut(id).and_then(|client| client.transaction.take()) {
        Some(_) => OK,
        None => error("ERR DISCARD without MULTI"),
    }
}

pub fn exec(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    let Some(transaction) = server.clients.get_mut(id).and_then(|client| client.transaction.take()) else {
        return error("ERR EXEC without MULTI");
    };
    if transaction.refused {
        return error("EXECABORT Transaction discarded because of previous errors.");
    }
    let mut replies = Vec::with_capacity(transaction.queued.len());
    for (command, words) in &transaction.queued {
        let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
        replies.push(match server.denial(id, command, &words) {
            Some(denied) => {
                let key = denied == faults::DENIED_KEY;
                let why = if key { "touch the specified keys" } else { "execute the command or subcommand" };
                error(format!("{}{why}", faults::DENIED_SINCE))
            }
            None => server.call(id, command, &words),
        });
    }
    Reply::Array(replies)
}
