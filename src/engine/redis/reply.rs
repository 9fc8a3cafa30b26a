//! What replies and errors of the server mean.

use redis::{ServerError, Value};

use crate::engine::error::{Kind, Trouble};

/// What an error reply means for the call, or for the connection.
pub fn classify(error: &ServerError) -> Trouble {
    let (kind, message) = match error.code() {
        "READONLY" => (Kind::Readonly, "the server takes no writes (a replica, or a failover under way)"),
        "LOADING" => (Kind::Loading, "the server is loading its data"),
        "MASTERDOWN" => (Kind::Loading, "the server is a replica without its master"),
        "BUSY" => (Kind::Loading, "the server is busy with a script"),
        "NOAUTH" => (Kind::Auth, "the server wants a password; put it into the URL"),
        "WRONGPASS" => (Kind::Auth, "the server refused the user or password of the URL"),
        "NOPERM" => (Kind::Denied, "the server's ACL denies this user a command or key"),
        "OOM" => (Kind::Oom, "the server is out of memory (maxmemory reached, nothing to evict)"),
        "WRONGTYPE" => (Kind::Wrongtype, "a key holds another type than a string"),
        "MISCONF" | "NOREPLICAS" => {
            (Kind::Refused, "the server takes no writes (its snapshots fail, or it has too few replicas)")
        }
        // What was refused within a transaction was told there; it is full, most of the time.
        "EXECABORT" => (Kind::Refused, "the server refused a part of a transaction"),
        "ERR" if is_auth(error) => (Kind::Auth, "the server refused the password of the URL"),
        "ERR" if error.details().is_some_and(|d| d.contains("max number of clients")) => {
            (Kind::Connect, "the server has reached its maxclients")
        }
        _ => (Kind::Server, "the server refused a command"),
    };
    Trouble::new(kind, message)
}

/// Whether the command itself is denied, and not only the probe's key.
pub fn command_denied(error: &ServerError) -> bool {
    error.code() == "NOPERM"
        && !error.details().is_some_and(|d| d.contains("the keys mentioned") || d.contains("access one of the keys"))
        || error.details().is_some_and(|d| d.starts_with("unknown command"))
}

fn is_auth(error: &ServerError) -> bool {
    error.details().is_some_and(mentions_auth)
}

/// Old servers have no code for it, only words; an unknown command quotes its arguments, which may be any words.
fn mentions_auth(message: &str) -> bool {
    ["AUTH ", "Client sent AUTH", "invalid password", "invalid username-password"]
        .iter()
        .any(|m| message.starts_with(m))
}

/// What it means that the server refused a command of the handshake.
pub fn refused(error: &ServerError) -> Trouble {
    let trouble = classify(error);
    let message = match trouble.kind {
        Kind::Denied => "the server's ACL denies this user the handshake",
        Kind::Server => "the server refused the handshake",
        _ => return trouble,
    };
    Trouble::new(trouble.kind, message)
}

/// A reply of a kind that its command never gives: the stream is out of step, and nothing behind it can be trusted.
pub fn out_of_step() -> Trouble {
    Trouble::new(Kind::Protocol, "the server's replies do not fit the commands")
}

/// An integer reply.
pub fn integer(value: Value) -> Result<i64, Trouble> {
    match value {
        Value::Int(n) => Ok(n),
        Value::Boolean(b) => Ok(i64::from(b)),
        Value::ServerError(error) => Err(classify(&error)),
        _ => Err(out_of_step()),
    }
}
