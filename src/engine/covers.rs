//! Covers: the patterns whose keys in Redis are being swept, or wait for it.
//!
//! **The problem.** `delPattern` and `clear` are a walk over all keys of the server: a second for each million or two,
//! most of them somebody else's. A read that is called behind one of them must not see what it removes, and a write
//! behind it must not be removed; neither may wait for the walk. After an outage the same holds for each pattern that
//! was called meanwhile.
//!
//! **The approach.** A pattern *covers* its keys from the moment at which it takes its place in the order of calls
//! until a whole walk has been over the server's keys. Meanwhile
//!
//! - a read of a covered key is a miss, without asking: what lies there is as good as removed;
//! - a write, or a read that is the beginning of a computation, removes the key itself first, in front of its own
//!   commands, and the key is an *exception* from then on: what lies there is newer than the sweep. So leases, counters
//!   and tags' tokens work as they do at any other time, and the walk leaves these keys alone;
//! - what holds the values on this side (the near cache, hot values, the in-process tier) has marks of its own:
//!   marks.rs.
//!
//! The walk reads a page of keys, takes out those that are covered, and sends their UNLINK without a pause between: a
//! write that is planned behind it goes behind it on the connection. One walk does for all covers that stand when it
//! begins; those that come meanwhile have the next. Each step has a deadline, and what a walk has done survives the
//! connection, where the same server is found again: its cursor is good for another connection. Not where an exception
//! was passed over: whether that key's own removal has reached the server is not known then, and the walk begins anew.
//!
//! **In an outage** patterns wait here, and the in-process tier answers. On recovery one walk is made before any call
//! is admitted, while callers still run on the in-process tier. Patterns that come while it runs stay covers, and are
//! swept while redis mode is on. An outage in the middle of that leaves them here, without exceptions.
//!
//! **The bounds.** So many patterns, beyond which a namespace is swept as a whole; so many exceptions, beyond which a
//! covered key stays a miss until the walk is over. What is called while connected (`live`) is bounded by the calls
//! that may be under way.
//!
//! **Rejected.** *Sweeping behind the closed gate*: callers wait for a walk that may take seconds, miss their
//! deadlines, and recovery begins anew; with one pattern a second, for ever. *Asking Redis when a key was written*: it
//! does not know. *A token in each key's name* that `clear` changes: `redis-cli get key` finds nothing, and no pattern
//! but all can be cleared so.
//!
//! **The limit.** A key that another process writes while a walk is under way may go as well, as with any SCAN.

use std::collections::HashSet;

use redis::Value;
use tokio::sync::oneshot;

use super::error::Trouble;
use super::mutant;
use super::pattern::Pattern;

/// The most exceptions of all covers, and the most bytes of their keys.
pub const MAX_EXCEPTIONS: usize = 100_000;
pub const MAX_EXCEPTION_BYTES: usize = 16 << 20;

/// How a walk ended: how many keys of the caller's there were.
pub type Swept = Result<u64, Trouble>;

struct Cover {
    id: u64,
    pattern: Pattern,
    /// Keys that lie there anew.
    except: HashSet<Box<str>>,
    removed: u64,
    /// Who called it waits; none where it waits for nobody.
    live: Option<oneshot::Sender<Swept>>,
    /// The server refuses to be walked: it hides nothing, and is tried again on the next recovery.
    parked: bool,
}

/// What a call on a key has to do first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    No,
    /// Remove the key; it is an exception from now on. How many keys there were is told to the cover of this number.
    Excepted(u64),
    /// Remove the key; there is no room for an exception, so it stays covered.
    Still(u64),
}

/// A walk over the server's keys that is under way, or was when the connection ended.
#[derive(Clone)]
pub struct Walk {
    pub cursor: Vec<u8>,
    pub glob: String,
    /// It is for the covers up to this number.
    upto: u64,
    server: Option<String>,
    /// An exception was passed over.
    passed: bool,
}

#[derive(Default)]
pub struct Covers {
    list: Vec<Cover>,
    last: u64,
    exceptions: usize,
    bytes: usize,
    walk: Option<Walk>,
}

impl Covers {
    /// A pattern that waits to be swept; one that is there already begins anew.
    pub fn note(&mut self, pattern: Pattern, parked: bool) {
        self.drop_where(|cover| cover.live.is_none() && cover.pattern == pattern);
        self.add(pattern, None, parked);
    }

    /// A pattern that is swept for somebody who waits.
    pub fn raise(&mut self, pattern: Pattern) -> oneshot::Receiver<Swept> {
        let (told, swept) = oneshot::channel();
        self.add(pattern, Some(told), false);
        swept
    }

    fn add(&mut self, pattern: Pattern, live: Option<oneshot::Sender<Swept>>, parked: bool) {
        self.last += 1;
        self.list.push(Cover { id: self.last, pattern, except: HashSet::new(), removed: 0, live, parked });
    }

    /// Whether a whole walk for this pattern is still to come: one that is under way has passed some keys already.
    pub fn awaits(&self, pattern: &Pattern) -> bool {
        let begun = |cover: &Cover| self.walk.as_ref().is_some_and(|walk| walk.is_for(cover));
        self.list.iter().any(|cover| cover.live.is_none() && cover.pattern == *pattern && !begun(cover))
    }

    pub fn contains(&self, pattern: &Pattern) -> bool {
        self.list.iter().any(|cover| cover.pattern == *pattern)
    }

    /// Forgets the patterns behind a prefix that wait, in favour of one for them all.
    pub fn widen(&mut self, pattern: Pattern) {
        self.drop_where(|cover| cover.live.is_none() && cover.pattern.prefix == pattern.prefix);
        self.add(pattern, None, false);
    }

    /// Patterns that wait, or are swept for nobody.
    pub fn waiting(&self) -> usize {
        self.list.iter().filter(|cover| cover.live.is_none()).count()
    }

    /// Bytes of their texts.
    pub fn waiting_bytes(&self) -> usize {
        self.list.iter().filter(|cover| cover.live.is_none()).map(|cover| cover.pattern.bytes()).sum()
    }

    /// All that stand: that hide keys.
    pub fn standing(&self) -> usize {
        self.list.iter().filter(|cover| !cover.parked).count()
    }

    pub fn hides(&self, key: &str) -> bool {
        self.list.iter().any(|cover| cover.hides(key.as_bytes()))
    }

    /// A write of a key, or a computation: what lies there is to be removed, and the key is not covered from here on.
    pub fn uncover(&mut self, key: &str) -> Covered {
        let room = self.exceptions < MAX_EXCEPTIONS && self.bytes + key.len() <= MAX_EXCEPTION_BYTES;
        let mut covered = Covered::No;
        for cover in self.list.iter_mut().filter(|cover| cover.hides(key.as_bytes())) {
            if room {
                cover.except.insert(key.into());
                self.exceptions += 1;
                self.bytes += key.len();
            }
            covered = if room { Covered::Excepted(cover.id) } else { Covered::Still(cover.id) };
        }
        covered
    }

    /// So many keys went by `uncover`.
    pub fn count(&mut self, id: u64, removed: u64) {
        if let Some(cover) = self.list.iter_mut().find(|cover| cover.id == id) {
            cover.removed += removed;
        }
    }

    /// The walk to go on with, or a new one for all that stand; none where there is nothing to be swept. `server`: its
    /// run id.
    pub fn walk(&mut self, server: Option<&str>) -> Option<Walk> {
        let wanted = |walk: &Walk| {
            walk.server.as_deref() == server && server.is_some() && self.list.iter().any(|cover| walk.is_for(cover))
        };
        let old = self.walk.take().filter(wanted);
        let walk = old.or_else(|| {
            let standing = self.list.iter().filter(|cover| !cover.parked);
            let patterns: Vec<Pattern> = standing.map(|cover| cover.pattern.clone()).collect();
            (!patterns.is_empty()).then(|| Walk {
                cursor: b"0".to_vec(),
                glob: Pattern::common(&patterns),
                upto: self.last,
                server: server.map(str::to_owned),
                passed: false,
            })
        })?;
        self.walk = Some(walk.clone());
        Some(walk)
    }

    /// The keys of a page that are to go.
    pub fn pick(&mut self, page: Vec<Value>) -> Vec<Picked> {
        let mut picked: Vec<Picked> = Vec::new();
        let Some(walk) = &mut self.walk else { return picked };
        for value in page {
            let Value::BulkString(key) = value else { continue };
            // The server matched it already, or matched too much: only what one of the patterns means is ever removed,
            // whatever the server says.
            let mut matched = self.list.iter().filter(|cover| walk.is_for(cover) && cover.pattern.matches(&key));
            let Some(first) = matched.next() else { continue };
            let spares = self.exceptions > 0 && !mutant::lacks("exception");
            if spares && first.excepts(&key) && matched.all(|cover| cover.excepts(&key)) {
                walk.passed = true;
                continue;
            }
            let (id, counts) = (first.id, first.pattern.is_callers(&key));
            match picked.iter_mut().find(|part| part.id == id && part.counts == counts) {
                Some(part) => part.keys.push(key),
                None => picked.push(Picked { id, counts, keys: vec![key] }),
            }
        }
        picked
    }

    /// A page has been dealt with.
    pub fn turn(&mut self, cursor: Vec<u8>) {
        if let Some(walk) = &mut self.walk {
            walk.cursor = cursor;
        }
    }

    /// The walk is over: what it was for covers nothing any more. Whether it met trouble that nobody is told of who
    /// waits.
    pub fn finish(&mut self, trouble: Option<&Trouble>) -> bool {
        self.walk.take().is_some_and(|walk| self.end_where(trouble, |cover| walk.is_for(cover)))
    }

    /// As `finish`, for one of them.
    pub fn refuse(&mut self, id: u64, trouble: &Trouble) -> bool {
        self.end_where(Some(trouble), |cover| cover.id == id)
    }

    fn end_where(&mut self, trouble: Option<&Trouble>, which: impl Fn(&Cover) -> bool) -> bool {
        let mut untold = false;
        let list = std::mem::take(&mut self.list);
        for cover in list {
            if !which(&cover) {
                self.list.push(cover);
                continue;
            }
            self.forget(&cover);
            match cover.live {
                Some(live) => _ = live.send(trouble.map_or(Ok(cover.removed), |trouble| Err(trouble.clone()))),
                None => untold |= trouble.is_some(),
            }
        }
        untold
    }

    /// The connection is lost: all wait for the next one.
    pub fn lose(&mut self) {
        for cover in &mut self.list {
            cover.live = None;
            if std::mem::take(&mut cover.parked) {
                // Another number: the walk that goes on is not for it.
                self.last += 1;
                cover.id = self.last;
            }
            cover.except = HashSet::new();
        }
        (self.exceptions, self.bytes) = (0, 0);
        self.walk.take_if(|walk| walk.passed);
    }

    fn drop_where(&mut self, which: impl Fn(&Cover) -> bool) {
        let list = std::mem::take(&mut self.list);
        for cover in list {
            if which(&cover) { self.forget(&cover) } else { self.list.push(cover) }
        }
    }

    fn forget(&mut self, cover: &Cover) {
        self.exceptions -= cover.except.len();
        self.bytes -= cover.except.iter().map(|key| key.len()).sum::<usize>();
    }
}

/// Keys of a page that are to go, for the cover of this number.
pub struct Picked {
    pub id: u64,
    /// The callers', and not the caches' own.
    pub counts: bool,
    pub keys: Vec<Vec<u8>>,
}

impl Walk {
    fn is_for(&self, cover: &Cover) -> bool {
        cover.id <= self.upto && !cover.parked
    }
}

impl Cover {
    fn hides(&self, key: &[u8]) -> bool {
        !self.parked && self.pattern.matches(key) && !self.excepts(key)
    }

    fn excepts(&self, key: &[u8]) -> bool {
        std::str::from_utf8(key).is_ok_and(|key| self.except.contains(key))
    }
}
