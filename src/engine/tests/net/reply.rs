//! What errors of servers mean: the wordings of Redis 5 to 8, Valkey, KeyDB, Dragonfly and proxies, as they send them.

use redis::{Value, parse_redis_value};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::net::reply::{classify, command_denied, is_key};

fn means(error: &str) -> (Trouble, bool) {
    match parse_redis_value(format!("-{error}\r\n").as_bytes()) {
        Ok(Value::ServerError(error)) => (classify(&error), command_denied(&error)),
        other => panic!("no error: {other:?}"),
    }
}

#[test]
fn a_denied_command_is_told_by_its_name() {
    for (error, named) in [
        ("NOPERM this user has no permissions to run the 'get' command or its subcommand", " GET"),
        ("NOPERM this user has no permissions to run the 'client|setname' command", " CLIENT SETNAME"),
        ("NOPERM User the key 'x' has no permissions to run the 'mget' command", " MGET"),
        ("NOPERM app has no ACL permissions", "a command"),
        (
            "ERR The user executing the script can't run this command or subcommand script: d3c, on @user_script:1.",
            "a command",
        ),
        (
            "ERR ACL failure in script: User key has no permissions to run the 'pexpire' command script: d, \
                on @user_script:1.",
            " PEXPIRE",
        ),
        (
            "ERR Error running script (call to f_a): @user_script:1: @user_script: 1: -NOPERM The user \
                executing the script can't run this command or subcommand",
            "a command",
        ),
        (
            "EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the \
                'exec' command",
            " EXEC",
        ),
        ("NOPERM something that nobody has written yet", "a command"),
    ] {
        let (trouble, command) = means(error);
        assert_eq!(trouble.kind, Kind::Denied, "{error}");
        assert!(trouble.message.contains("ACL") && trouble.message.contains(named), "{error}: {trouble}");
        assert!(command && !is_key(&trouble), "{error}");
    }
}

#[test]
fn a_denied_key_says_nothing_against_its_command() {
    for error in [
        "NOPERM this user has no permissions to access one of the keys used as arguments",
        "NOPERM No permissions to access a key",
        "NOPERM User command has no permissions to access the 'secret' key",
        "ERR The user executing the script can't access at least one of the keys mentioned in the command \
            arguments script: 9, on @user_script:1.",
        "ERR ACL failure in script: No permissions to access a key script: 9f, on @user_script:1.",
        "ERR Error running script (call to f_a): @user_script:1: @user_script: 1: -NOPERM The user \
            executing the script can't access at least one of the keys mentioned in the command arguments",
    ] {
        let (trouble, command) = means(error);
        assert_eq!(trouble.kind, Kind::Denied, "{error}");
        assert!(is_key(&trouble) && !command, "{error}: {trouble}");
        assert!(!trouble.message.contains("secret"), "{trouble}");
    }
    for (error, what) in [
        ("NOPERM this user has no permissions to access one of the channels used as arguments", "channel"),
        ("NOPERM No permissions to access a channel", "channel"),
        ("NOPERM No permissions to access database", "database"),
    ] {
        let (trouble, command) = means(error);
        assert!(trouble.message.contains(what) && !command, "{error}: {trouble}");
    }
}

#[test]
fn a_command_that_is_not_there_is_not_an_acl() {
    for (error, named) in [
        ("ERR unknown command `PTTL`, with args beginning with: `NOPERM 'key'`, ", " PTTL"),
        ("ERR unknown command 'INCRBY' with args beginning with: 'a' '1'", " INCRBY"),
        ("ERR unknown command 'ECHO'", " ECHO"),
        ("ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.", " SETINFO"),
        ("ERR Unknown subcommand or wrong number of arguments for 'TRACKING'. Try CLIENT HELP.", " TRACKING"),
        ("ERR unsupported command 'select'", " SELECT"),
        ("ERR Command is not available: 'CLIENT'. See our docs", " CLIENT"),
        ("ERR Unknown Redis command called from script script: ee2, on @user_script:1.", "a command"),
        (
            "ERR Error running script (call to f_a): @user_script:1: @user_script: 1: Unknown Redis command \
                called from Lua script",
            "a command",
        ),
    ] {
        let (trouble, command) = means(error);
        assert_eq!(trouble.kind, Kind::Denied, "{error}");
        assert!(trouble.message.contains("does not know") && trouble.message.contains(named), "{error}: {trouble}");
        assert!(!trouble.message.contains("ACL") && command, "{error}: {trouble}");
    }
    // What is quoted behind the command is a caller's, and so is what looks like a name and is none.
    for error in ["ERR unknown command 'my secret'", "ERR unknown command 'GET \u{fffd}'", "ERR unknown command ''"] {
        assert_eq!(means(error).0.message, means("ERR unknown command").0.message);
    }
}

#[test]
fn every_other_error_says_what_is_wrong() {
    for (error, kind, words) in [
        ("MOVED 3999 127.0.0.1:6381", Kind::Cluster, "its slot"),
        ("ASK 3999 127.0.0.1:6381", Kind::Cluster, "its slot"),
        ("CROSSSLOT Keys in request don't hash to the same slot", Kind::Cluster, "its slot"),
        ("CLUSTERDOWN Hash slot not served", Kind::Cluster, "its slot"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Kind::Cluster, "its slot"),
        ("ERR SELECT is not allowed in cluster mode", Kind::Cluster, "its slot"),
        ("ERR Script attempted to access a non local key in a cluster node script: a", Kind::Cluster, "its slot"),
        ("ERR Script attempted to access keys that do not hash to the same slot", Kind::Cluster, "its slot"),
        ("ERR DB index is out of range", Kind::Config, "number in the URL"),
        ("ERR invalid DB index", Kind::Config, "number in the URL"),
        ("NOAUTH Authentication required.", Kind::Auth, "wants a password"),
        ("NOAUTH HELLO must be called with the client already authenticated", Kind::Auth, "wants a password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", Kind::Auth, "user or password"),
        ("ERR invalid password", Kind::Auth, "password"),
        ("ERR Client sent AUTH, but no password is set", Kind::Auth, "has no password"),
        (
            "ERR AUTH <password> called without any password configured for the default user. Are you sure",
            Kind::Auth,
            "has no password",
        ),
        (
            "DENIED Redis is running in protected mode because protected mode is enabled",
            Kind::Connect,
            "protected mode",
        ),
        ("ERR max number of clients reached", Kind::Connect, "maxclients"),
        ("ERR max number of clients + cluster connections reached", Kind::Connect, "maxclients"),
        ("LOADING Redis is loading the dataset in memory", Kind::Loading, "loading"),
        ("MASTERDOWN Link with MASTER is down", Kind::Loading, "master"),
        ("BUSY Redis is busy running a script.", Kind::Loading, "busy"),
        ("UNKILLABLE Sorry the script already executed write commands", Kind::Loading, "busy"),
        ("READONLY You can't write against a read only replica.", Kind::Readonly, "replica"),
        (
            "READONLY You can't write against a read only replica. script: a, on @user_script:1.",
            Kind::Readonly,
            "replica",
        ),
        ("NOREPLICAS Not enough good replicas to write.", Kind::Refused, "replicas"),
        ("MISCONF Redis is configured to save RDB snapshots", Kind::Refused, "snapshots"),
        ("OOM command not allowed when used memory > 'maxmemory'.", Kind::Oom, "memory"),
        ("EXECABORT Transaction discarded because of: LOADING Redis is loading", Kind::Loading, "loading"),
        (
            "ERR Error running script (call to f_a): @user_script:1: @user_script: 1: -OOM command not \
                allowed when used memory > 'maxmemory'.",
            Kind::Oom,
            "memory",
        ),
        (
            "ERR Error running script (call to f_a): @user_script:1: WRONGTYPE Operation against a key \
                holding the wrong kind",
            Kind::Wrongtype,
            "type",
        ),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Kind::Wrongtype, "type"),
        ("ERR value is not an integer or out of range", Kind::Server, "refused a command"),
        ("EXECABORT Transaction discarded because of previous errors.", Kind::Refused, "transaction"),
    ] {
        let (trouble, command) = means(error);
        assert_eq!(trouble.kind, kind, "{error}: {trouble}");
        assert!(trouble.message.contains(words) && !command, "{error}: {trouble}");
    }
}
