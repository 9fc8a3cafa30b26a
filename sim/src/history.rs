//! What the calls of one schedule did: the plan that they followed, and the history that the rules judge.
//!
//! The shapes are those of the checker on real servers (check/schedule.js, check/judge/history.js), so that one set of
//! rules can judge both.

use holdfast::engine::fleet::slot::slot_of;

/// The namespaces, by their numbers. One is the beginning of the other. The last one is none: raw keys.
pub const SPACES: [&str; 3] = ["app", "apple", ""];

/// Nanoseconds since the schedule began.
pub type Nanos = u64;

pub const MICRO: Nanos = 1_000;
pub const MILLI: Nanos = 1_000_000;

/// A key of the schedule, by its place in `Plan::names`.
pub type Key = usize;
/// A tag, by its number.
pub type Tag = usize;
/// A namespace, by its number: several caches may share a connection.
pub type Space = usize;

/// Where calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An environment of a process: an event loop, or a worker thread beside it.
    Environment { process: usize, thread: usize },
    /// A client of the server that knows nothing of Holdfast. Its calls are executed at once and in their order.
    Foreign,
}

/// One call. Times to live are milliseconds, `None` for no expiry.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    Get {
        key: Key,
    },
    /// A read of a key that nobody has read before: its reply comes from the server, behind all its pushes until then.
    Sync {
        key: Key,
    },
    GetMany {
        keys: Vec<Key>,
    },
    Set {
        key: Key,
        value: i64,
        ttl: Option<u64>,
        tag: Option<Tag>,
    },
    Del {
        keys: Vec<Key>,
    },
    Increment {
        key: Key,
        amount: i64,
    },
    Invalidate {
        tag: Tag,
    },
    /// `delPattern`, or `clear` with `None`.
    Sweep {
        pattern: Option<String>,
    },
    Expire {
        key: Key,
        ttl: u64,
    },
    Compute(Compute),
    /// FLUSHALL, of the foreign client.
    Flush,
    /// What lies at a key and its time left in one moment, of the foreign client.
    Probe {
        key: Key,
    },
}

/// `getOrCompute`, or `getOrComputeMany` where `many`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compute {
    pub keys: Vec<Key>,
    pub many: bool,
    /// What the function's first run returns for the first key; later runs and keys count up from there.
    pub value: i64,
    pub ttl: Option<u64>,
    pub tag: Option<Tag>,
    pub lock: bool,
    /// How long the function takes, in milliseconds.
    pub ms: u64,
    /// Milliseconds for which a value may be served after its TTL: at once (`swr`), or where the function fails or
    /// Redis is away (`grace`).
    pub swr: u64,
    pub grace: u64,
    /// `earlyRefresh`.
    pub early: f64,
    /// How long a caller waits that has a value to fall back on, and how long any caller does, in milliseconds.
    pub timeout: Option<u64>,
    pub hard: u64,
    /// The function throws.
    pub fails: bool,
    /// The function returns undefined.
    pub nothing: bool,
}

/// What the rules need to know of a schedule.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Keys, by their numbers; the first ones are values, then come counters, then the keys of syncs.
    pub names: Vec<String>,
    pub keys: Vec<Key>,
    pub counters: Vec<Key>,
    /// What counters hold before the schedule.
    pub head: i64,
    /// By key: the namespace that it lies in; 0 for keys beyond the list. Keys of two namespaces are two keys, though
    /// their names may be the same.
    pub spaces: Vec<Space>,
    /// The namespaces of the caches at these places; 0 for all others.
    pub homes: Vec<(Place, Space)>,
    /// How long behind the end of a value a connected process may serve it at most, whatever it hears: as long as its
    /// connection vouches for what it holds. None where the rules do not ask.
    pub trust: Option<Nanos>,
    /// How long a call waits at least for the token of a tag that another server has.
    pub token_wait: Option<Nanos>,
    /// `nearCache.maxAge`.
    pub max_age: Option<Nanos>,
    /// The servers are a cluster's; and the slots in which keys lie, and tags.
    pub cluster: bool,
    pub used: Vec<u16>,
    /// The server tells no process what others change (RESP2).
    pub silent: bool,
}

impl Plan {
    pub fn space_of(&self, key: Key) -> Space {
        self.spaces.get(key).copied().unwrap_or(0)
    }

    /// The slot of a key, whose name has a hash tag. One server alone is as one slot.
    pub fn slot_of(&self, key: Key) -> u16 {
        let name = self.names.get(key).filter(|_| self.cluster);
        name.map_or(0, |name| slot_of(name.as_bytes()))
    }

    /// The slot of a tag, as keys of this namespace have it.
    pub fn slot_of_tag(&self, space: Space, tag: Tag) -> u16 {
        if self.cluster { slot_of(stored_tag(space, tag).as_bytes()) } else { 0 }
    }

    /// Whether a mishap befell some slots alone, and this was none of them.
    pub fn spares(&self, slots: u64, slot: u16) -> bool {
        let at = self.used.iter().position(|used| *used == slot);
        at.is_none_or(|at| slots & (1 << at) == 0)
    }

    pub fn home_of(&self, place: Place) -> Space {
        self.homes.iter().find(|(at, _)| *at == place).map_or(0, |(_, space)| *space)
    }
}

/// The key of a tag in a namespace, as it is stored.
pub fn stored_tag(space: Space, tag: Tag) -> String {
    let colon = if SPACES[space].is_empty() { "" } else { ":" };
    format!("{}{colon}\0tag\0t{tag}", SPACES[space])
}

/// What a process says of itself: its mode and since when. Two moments with the same state have no change of mode
/// between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub mode: Mode,
    pub since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Initializing,
    Redis,
    Memory,
    /// Of a process with several servers: some are away, and some are not.
    Partly,
    /// Of the foreign client.
    Foreign,
}

/// Which part of the schedule a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A client of the plan, by its number.
    Plan(usize),
    /// Reads of all keys, over and over, until Redis is back.
    Chase,
    /// Reads of all keys when nobody writes any more.
    Settle,
}

/// A call and what became of it.
#[derive(Clone, Debug)]
pub struct Record {
    pub verb: Verb,
    pub place: Place,
    pub client: Client,
    /// The order of the calls of one place.
    pub seq: u32,
    pub before: State,
    pub after: Option<State>,
    pub start: Nanos,
    pub end: Option<Nanos>,
    pub outcome: Outcome,
    /// The runs of its function.
    pub runs: Vec<Run>,
}

/// What a call resolved to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not settled.
    None,
    /// Of a read, a computation or an increment; `None` for a miss.
    Value(Option<i64>),
    /// Of `getMany` and `getOrComputeMany`.
    Values(Vec<Option<i64>>),
    Flag(bool),
    Number(i64),
    Done,
    /// Of a probe: what lay there, and its time left in milliseconds, negative as Redis says it.
    Found(Option<Vec<u8>>, i64),
    /// Rejected, with this code.
    Error(String),
}

impl Outcome {
    /// Of a computation that has waited for as long as its `hardTimeout` says.
    pub fn too_late() -> Self {
        Self::Error("ERR_COMPUTE_TIMEOUT".to_owned())
    }
}

/// One run of a caller's function, for one key.
#[derive(Clone, Debug)]
pub struct Run {
    pub key: Key,
    pub value: i64,
    pub start: Nanos,
    pub before: State,
    pub end: Option<Nanos>,
    pub after: Option<State>,
    /// When its result had been stored, or was known not to be: the callers had it before. And how the process was
    /// then.
    pub landed: Option<(Nanos, State)>,
}

/// A process noticed an outage, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub process: usize,
    pub fallback: bool,
    pub at: Nanos,
}

/// What befell servers and processes, of which no call and no change of mode tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The server answered for the last time at `down`, and again from `up` on: with what it had at `snapshot`, or
    /// empty.
    Restart { down: Nanos, up: Nanos, snapshot: Option<Nanos> },
    /// As a restart from a snapshot, of these slots alone, by their places in `Plan::used`: a replica took over.
    Failover { slots: u64, down: Nanos, up: Nanos, snapshot: Option<Nanos> },
    /// Nobody served these slots: calls of their keys were answered in each process.
    Unserved { slots: u64, from: Nanos, until: Nanos },
    /// These slots have another owner, or had none for a while; from when on that may have shown.
    Moved { slots: u64, from: Nanos, until: Nanos },
    /// Nothing was left to be swept in the journal of a process.
    Swept { process: usize, at: Nanos },
    /// Nor these keys, by number, to be removed: what its outage had ended of them was, though it was not back.
    Removed { process: usize, keys: u64, at: Nanos },
    /// A process died, and its journal with it. Who takes its place has a number of its own.
    Death { process: usize, at: Nanos },
    /// The event `error` of a full journal: keys without a namespace are lost from here on, until Redis is back.
    Overflow { process: usize, at: Nanos },
    /// More than a journal holds: a whole namespace took the place of its keys, from here on. It is cleared once Redis
    /// is back, while others write there already, and nobody is told when that is over.
    Widened { process: usize, at: Nanos },
    /// A connected server refused writes; `deletes`: it refused to remove keys, too.
    Refusal { from: Nanos, until: Nanos, deletes: bool },
    /// A server was full, and removed keys of its own choice.
    Eviction { from: Nanos, until: Nanos },
}

/// The bytes that Redis holds at a key.
pub type Held = Option<Vec<u8>>;

/// What a schedule did.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub plan: Plan,
    /// In the order of their starts.
    pub records: Vec<Record>,
    pub events: Vec<Event>,
    /// By key, for `keys` and `counters`: what Redis held before and after everybody looked in the end.
    pub finals: Vec<(Key, Held, Held)>,
    /// By key: when its life in Redis ends; none where it does not, or nothing is there.
    pub left: Vec<(Key, Option<Nanos>)>,
    /// Environments and processes that ended in the middle of it.
    pub ended: Vec<Place>,
    /// Keys of others that are gone.
    pub lost: Vec<String>,
    pub mishaps: Vec<Mishap>,
    /// What processes held beyond its bound.
    pub excesses: Vec<Excess>,
}

/// Something of which a process held more than it may, when it did so first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    pub process: usize,
    pub at: Nanos,
    pub what: &'static str,
    pub held: usize,
    pub bound: usize,
}
