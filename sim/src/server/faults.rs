//! What makes the server refuse: switches, and the words with which Redis 7.0 says so.

/// What is wrong with the server at the moment. All is well by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// maxmemory is reached and nothing may be evicted: commands that may need memory are refused.
    pub oom: bool,
    /// It is a replica, which takes no writes and leaves it to its master to delete what expired.
    pub readonly: bool,
    /// It loads its data: all but the handshake's commands are refused.
    pub loading: bool,
    /// Its snapshots fail: writes, and PING, are refused.
    pub misconf: bool,
    /// It has too few replicas: writes are refused.
    pub noreplicas: bool,
    /// A script of somebody runs for ever: nearly all is refused.
    pub busy: bool,
    /// maxclients is reached: a new connection is told so and closed.
    pub full: bool,
    /// The default user's, asked for on connections that are made from now on.
    pub password: Option<Vec<u8>>,
    /// What users of connections may not do; the foreign client may do all.
    pub acl: Option<Acl>,
    /// `rename-command HELLO ""`: it speaks RESP2 alone. An ACL cannot deny HELLO.
    pub no_hello: bool,
    /// `tracking-table-max-keys`: of more keys than this, some are invalidated. None: a million, which nobody reaches.
    pub tracked_keys: Option<usize>,
}

/// What an ACL denies.
#[derive(Clone, Debug, Default)]
pub struct Acl {
    /// Names of commands in lower case, `client|tracking` for one of a family, `client` for all of it.
    pub denied: Vec<&'static str>,
    /// What keys must begin with, where any are given.
    pub prefixes: Vec<Vec<u8>>,
}

pub const NOAUTH: &str = "NOAUTH Authentication required.";
pub const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
    AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
    time";
pub const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
pub const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are \
    you sure your configuration is correct?";
pub const NO_HELLO: &str = "ERR unknown command 'HELLO', with args beginning with: '3' ";
pub const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";
pub const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to \
    disk. Commands that may modify the data set are disabled, because this instance is configured to report errors \
    during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
    details about the RDB error.";
pub const NOREPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";
pub const READONLY: &str = "READONLY You can't write against a read only replica.";
pub const LOADING: &str = "LOADING Redis is loading the dataset in memory";
pub const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
pub const MAXCLIENTS: &str = "ERR max number of clients reached";
pub const WRONGTYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub const SYNTAX: &str = "ERR syntax error";
pub const NO_INTEGER: &str = "ERR value is not an integer or out of range";
pub const NOSCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";
pub const DENIED_KEY: &str = "NOPERM this user has no permissions to access one of the keys used as arguments";
/// In front of what is denied of a transaction that was accumulated before it was denied.
pub const DENIED_SINCE: &str = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
    EXEC call. This command is no longer allowed for the following reason: no permission to ";
