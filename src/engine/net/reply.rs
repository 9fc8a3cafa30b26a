//! What replies and errors of the server mean.
//!
//! **The words of errors.** Only the first word of an error is a code. What an ACL denies (a command, a key, a
//! channel), which command is not there, or that a database is not, is told in words that differ by server and version,
//! so what is looked for here is what they have in common. The details may quote the arguments of the command, which
//! are the callers': they are compared with from their beginning, and never shown.

use std::borrow::Cow;

use redis::{ServerError, Value};

use crate::engine::base::error::{Kind, Trouble};

/// A node of a cluster does not do a command for the sake of its key's slot, however it says so.
pub const CLUSTER: &str = "a server of the cluster refused a command for the sake of its slot, \
    which is on its way, or has no server that is up";
/// It is a Sentinel, however it said so.
pub const SENTINEL: &str = "the address is that of a Sentinel, which holds no keys: \
    the URL must begin with redis+sentinel:// and name the master behind the hosts, or name the Redis server itself";
/// An ACL denies a key. Which one is not told: it is the caller's.
const DENIED_KEY: &str = "the server's ACL denies this user a key";

/// What an error reply means for the call, or for the connection.
pub fn classify(error: &ServerError) -> Trouble {
    meaning(error.code(), error.details().unwrap_or_default())
}

fn meaning(code: &str, details: &str) -> Trouble {
    let (code, details) = unwrapped(code, details);
    if let Some(denial) = Denial::of(code, details) {
        return Trouble::new(Kind::Denied, denial.message());
    }
    let (kind, message) = match code {
        "READONLY" => (Kind::Readonly, "the server takes no writes (a replica, or a failover under way)"),
        "LOADING" => (Kind::Loading, "the server is loading its data"),
        "MASTERDOWN" => (Kind::Loading, "the server is a replica without its master"),
        "BUSY" | "UNKILLABLE" => (Kind::Loading, "the server is busy with a script or a function of somebody"),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => (Kind::Cluster, CLUSTER),
        "NOAUTH" => (Kind::Auth, "the server wants a password; put it into the URL"),
        "WRONGPASS" => (
            Kind::Auth,
            "the server refused the user or password of the URL: \
                    there is no such user, the password is wrong, or the user is off",
        ),
        "DENIED" => (
            Kind::Connect,
            "the server is in protected mode and takes connections from its own host alone; \
                    give it a password (requirepass, or an ACL), or set protected-mode no",
        ),
        "OOM" => (Kind::Oom, "the server is out of memory (maxmemory reached, nothing to evict)"),
        "WRONGTYPE" => (Kind::Wrongtype, "a key holds another type than a string"),
        "MISCONF" => (Kind::Refused, "the server takes no writes: its snapshots fail (its log says why)"),
        "NOREPLICAS" => (Kind::Refused, "the server takes no writes: it has too few replicas (min-replicas-to-write)"),
        // The queued command's own error gave the reason, usually OOM.
        "EXECABORT" => (Kind::Refused, "the server refused a part of a transaction"),
        "ERR" => return general(details),
        _ => (Kind::Server, "the server refused a command"),
    };
    Trouble::new(kind, message)
}

/// An EXEC that is refused itself says why in the words of another error.
fn unwrapped<'a>(code: &'a str, details: &'a str) -> (&'a str, &'a str) {
    let inner = details.strip_prefix("Transaction discarded because of: ").filter(|_| code == "EXECABORT");
    inner.and_then(|inner| inner.split_once(' ')).unwrap_or((code, details))
}

/// Errors that have no code of their own.
fn general(details: &str) -> Trouble {
    let begins = |words: &[&str]| words.iter().any(|words| details.starts_with(words));
    // Before version 7 a script wraps what stopped it: `Error running script (…): @user_script:1: -OOM command not
    // allowed …`.
    if begins(&["Error running script"]) {
        let coded = details.split(": ").find_map(|part| {
            let (code, rest) = part.trim_start_matches('-').split_once(' ')?;
            let is_code = code.len() > 2 && code != "ERR" && code.bytes().all(|byte| byte.is_ascii_uppercase());
            is_code.then_some((code, rest))
        });
        if let Some((code, rest)) = coded {
            return meaning(code, rest);
        }
    }
    let (kind, message) =
        if begins(&["Client sent AUTH, but no password", "AUTH <password> called without any password"]) {
            (Kind::Auth, "the server has no password, and the URL has one")
        } else if begins(&["AUTH ", "Client sent AUTH", "invalid password", "invalid username-password"]) {
            // Old servers have no code for it, only words.
            (Kind::Auth, "the server refused the password of the URL")
        } else if begins(&["max number of clients"]) {
            (Kind::Connect, "the server has reached its maxclients")
        } else if begins(&["SELECT is not allowed in cluster mode", "Script attempted to access"]) {
            (Kind::Cluster, CLUSTER)
        } else if begins(&["DB index is out of range", "invalid DB index"]) {
            (
                Kind::Config,
                "the server has no database of the number in the URL: \
                    take a lower one, or raise `databases` in its configuration",
            )
        } else {
            (Kind::Server, "the server refused a command")
        };
    Trouble::new(kind, message)
}

/// What a user may not do, or a server does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The name of the command, where the server says it.
    Command(Option<String>),
    Unknown(Option<String>),
    Key,
    Channel,
    Database,
}

impl Denial {
    pub fn by(error: &ServerError) -> Option<Self> {
        let (code, details) = unwrapped(error.code(), error.details().unwrap_or_default());
        Self::of(code, details)
    }

    fn of(code: &str, details: &str) -> Option<Self> {
        match code {
            "NOPERM" => Some(Self::permission(details)),
            "ERR" => {
                let begins = |words: &[&str]| {
                    let start = |words: &str| details.get(..words.len()).is_some_and(|s| s.eq_ignore_ascii_case(words));
                    words.iter().any(|words| start(words))
                };
                // A script's command: denied, or not known.
                if begins(&["ACL failure in script", "The user executing the script"])
                    || begins(&["Error running script"]) && details.contains("The user executing the script")
                {
                    return Some(Self::permission(details));
                }
                let unknown = begins(&[
                    "unknown command",
                    "unknown subcommand",
                    "unknown sub-command",
                    "unsupported command",
                    "command is not available",
                    "Unknown Redis command called from",
                ]) || begins(&["Error running script"])
                    && details.contains("Unknown Redis command called from");
                unknown.then(|| Self::Unknown(name(details)))
            }
            _ => None,
        }
    }

    /// What NOPERM is about. Its words may hold the user's name, which may be any.
    fn permission(details: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|words| details.contains(words));
        if says(&["permissions to run the", "can't run this command", "has no ACL permissions"]) {
            let named = details.split_once("run the ").and_then(|(_, rest)| name(rest));
            Self::Command(named)
        } else if says(&["access one of the key", "access a key", "access at least one of the key", "' key"]) {
            Self::Key
        } else if says(&["channel"]) {
            Self::Channel
        } else if says(&["access database", "access the database", " database"]) {
            Self::Database
        } else {
            Self::Command(None)
        }
    }

    /// The command, and not only what it was to be done to.
    pub fn is_command(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Unknown(_))
    }

    fn message(self) -> Cow<'static, str> {
        match self {
            Self::Command(Some(name)) => format!("the server's ACL denies this user the command {name}").into(),
            Self::Command(None) => "the server's ACL denies this user a command".into(),
            Self::Unknown(Some(name)) => {
                format!("the server does not know the command {name} (renamed away, or too old a server)").into()
            }
            Self::Unknown(None) => "the server does not know a command (renamed away, or too old a server)".into(),
            Self::Key => DENIED_KEY.into(),
            Self::Channel => "the server's ACL denies this user a channel".into(),
            Self::Database => "the server's ACL denies this user the database of the URL".into(),
        }
    }
}

/// The name of a command, the first that stands in quotes. One of ours: whatever looks otherwise is not repeated.
fn name(details: &str) -> Option<String> {
    let mut parts = details.split(['\'', '`']);
    let name = parts.nth(1)?;
    let ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '|' | '-');
    (!name.is_empty() && name.len() <= 32 && name.chars().all(ours))
        .then(|| name.to_ascii_uppercase().replace('|', " "))
}

/// Whether it was a key that is denied.
pub fn is_key(trouble: &Trouble) -> bool {
    trouble.message == DENIED_KEY
}

/// Whether the command itself is denied, or not there, and not only the probe's key.
pub fn command_denied(error: &ServerError) -> bool {
    Denial::by(error).is_some_and(|denial| denial.is_command())
}

/// Whether another server has the key, or may have it in a moment.
pub fn is_redirect(error: &ServerError) -> bool {
    matches!(error.code(), "MOVED" | "ASK" | "TRYAGAIN")
}

/// Whether nobody serves the slot of a key: that one alone. Where the whole cluster is down, its servers say so of all.
pub fn is_unserved(error: &ServerError) -> bool {
    error.code() == "CLUSTERDOWN" && error.details().is_some_and(|details| details.starts_with("Hash slot"))
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

/// PTTL's reply as the milliseconds left; none where there is no such key.
pub fn left(value: Value) -> Option<u64> {
    match integer(value).ok()? {
        -1 => Some(u64::MAX),
        ms => u64::try_from(ms).ok(),
    }
}

/// A reply that is text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// A line `name:value` of INFO.
pub fn field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::to_owned)
}
