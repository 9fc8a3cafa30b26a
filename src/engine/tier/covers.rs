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
//! write that is planned behind it goes behind it on the connection. A sweep is told to be done when the removals that
//! calls sent themselves have been answered as well: until then another process may read what lay there, and one that
//! arrives late takes what another process has written since. One walk does for all covers that stand when it
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
//! **On a cluster** each server has covers of its own; what is written behind a sweep at one all spare: see spared.rs.
//!
//! **The limit.** A key that another process writes while a walk is under way may go as well, as with any SCAN.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_channel::oneshot;
use redis::Value;

use crate::engine::base::error::Trouble;
use crate::engine::base::mutant;
use crate::engine::base::pattern::{But, Pattern};
use crate::engine::task::signal::{Ending, Watched};
use crate::engine::tier::cover::{Cover, Covered, Passed, Picked, Removal, Swept, Walk};
use crate::engine::tier::heads::Heads;

/// The most exceptions of all covers, and the most bytes of their keys.
pub const MAX_EXCEPTIONS: usize = 100_000;
pub const MAX_EXCEPTION_BYTES: usize = 16 << 20;

#[derive(Default)]
pub struct Covers {
    list: BTreeMap<u64, Cover>,
    heads: Heads<u64>,
    last: u64,
    exceptions: usize,
    bytes: usize,
    walk: Option<Walk>,
    /// Ends when the removals of keys that were covered until now have been answered.
    under_way: Arc<Ending>,
    /// Patterns that wait, or are swept for nobody, the bytes of their texts, and how many hide nothing.
    waiting: usize,
    waiting_bytes: usize,
    parked: usize,
}

impl Covers {
    /// A pattern that waits to be swept; one that is there already begins anew.
    pub fn note(&mut self, pattern: Pattern, parked: bool) {
        for id in self.heads.of(&pattern).to_vec() {
            if self.list.get(&id).is_some_and(Cover::waits) {
                self.drop(id);
            }
        }
        self.add(pattern, HashSet::new(), Vec::new(), parked);
    }

    /// A pattern that is swept for somebody who waits. Whoever calls the same one anew before its walk has begun shares
    /// it: what was written in between is covered again.
    pub fn raise(&mut self, pattern: Pattern) -> oneshot::Receiver<Swept> {
        let (told, swept) = oneshot::channel();
        let last = self.heads.of(&pattern).last().copied();
        let begun = self.walk.as_ref().is_some_and(|walk| last.is_some_and(|id| id <= walk.upto));
        match last.and_then(|id| self.list.get_mut(&id)).filter(|cover| !begun && !cover.waits() && !cover.parked) {
            Some(cover) => {
                let except = std::mem::take(&mut cover.except);
                cover.pattern = pattern;
                cover.live.push(told);
                self.forget(&except);
            }
            None => self.add(pattern, HashSet::new(), vec![told], false),
        }
        swept
    }

    /// A pattern that was another server's to sweep, with the keys that lie there anew.
    pub fn take_over(&mut self, (pattern, except): Passed) {
        self.exceptions += except.len();
        self.bytes += except.iter().map(|key| key.len()).sum::<usize>();
        self.add(pattern, except, vec![oneshot::channel().0], false);
    }

    fn add(&mut self, pattern: Pattern, except: HashSet<Box<str>>, live: Vec<oneshot::Sender<Swept>>, parked: bool) {
        self.last += 1;
        self.put(Cover { id: self.last, pattern, except, removed: 0, live, parked, walked: false });
    }

    fn put(&mut self, cover: Cover) {
        if cover.waits() {
            self.waiting += 1;
            self.waiting_bytes += cover.pattern.bytes();
        }
        self.parked += usize::from(cover.parked);
        self.heads.insert(&cover.pattern, cover.id);
        self.list.insert(cover.id, cover);
    }

    fn drop(&mut self, id: u64) -> Option<Cover> {
        let cover = self.list.remove(&id)?;
        if cover.waits() {
            self.waiting -= 1;
            self.waiting_bytes -= cover.pattern.bytes();
        }
        self.parked -= usize::from(cover.parked);
        self.heads.remove(&cover.pattern, |other| *other == id);
        self.forget(&cover.except);
        Some(cover)
    }

    fn of(&self, pattern: &Pattern) -> impl Iterator<Item = &Cover> {
        self.heads.of(pattern).iter().filter_map(|id| self.list.get(id))
    }

    fn matching<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Cover> {
        let covers = self.heads.matching(key).filter_map(|id| self.list.get(id));
        covers.filter(|cover| !cover.pattern.spares(key))
    }

    /// Whether a whole walk for this pattern is still to come: one that is under way has passed some keys already.
    pub fn awaits(&self, pattern: &Pattern) -> bool {
        let begun = |cover: &Cover| self.walk.as_ref().is_some_and(|walk| walk.is_for(cover));
        self.of(pattern).any(|cover| cover.waits() && !begun(cover))
    }

    pub fn contains(&self, pattern: &Pattern) -> bool {
        !self.heads.of(pattern).is_empty()
    }

    /// Forgets the patterns behind a prefix that wait, in favour of one for them all.
    pub fn widen(&mut self, pattern: Pattern) {
        let narrow = |cover: &&Cover| cover.waits() && cover.pattern.prefix == pattern.prefix;
        let narrow: Vec<u64> = self.list.values().filter(narrow).map(|cover| cover.id).collect();
        narrow.into_iter().for_each(|id| _ = self.drop(id));
        self.add(pattern, HashSet::new(), Vec::new(), false);
    }

    /// One pattern for each namespace, in place of those behind it that wait; how many. Raw keys have no such pattern.
    pub fn widen_all(&mut self) -> u64 {
        let waits = self.list.values().filter(|cover| cover.waits() && !cover.pattern.prefix.is_empty());
        let prefixes: BTreeSet<_> = waits.map(|cover| cover.pattern.prefix.clone()).collect();
        let count = prefixes.len() as u64;
        for prefix in prefixes {
            self.widen(Pattern { prefix, glob: "*".into(), internal: true, only: None, but: But::default() });
        }
        count
    }

    /// What is to be swept, and the keys that lie there anew. `idle`: none lie here, and nobody says how long for.
    pub fn patterns(&mut self, idle: bool) -> Vec<Passed> {
        let patterns = self.list.values().map(|cover| (cover.pattern.clone(), cover.except.clone())).collect();
        let covers = self.list.values_mut().filter(|_| idle);
        covers.for_each(|cover| cover.pattern = cover.pattern.unsparing());
        patterns
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of their texts.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// All that stand: that hide keys.
    pub fn standing(&self) -> usize {
        self.list.len() - self.parked
    }

    /// Keys that covers leave alone, and the bytes of them.
    pub fn exceptions(&self) -> [usize; 2] {
        [self.exceptions, self.bytes]
    }

    pub fn hides(&self, key: &str) -> bool {
        self.matching(key.as_bytes()).any(|cover| cover.hides(key))
    }

    /// A write of a key, or a computation: what lies there is to be removed, and the key is not covered from here on.
    pub fn uncover(&mut self, key: &str) -> Covered {
        let room = self.exceptions < MAX_EXCEPTIONS && self.bytes + key.len() <= MAX_EXCEPTION_BYTES;
        let hiding: Vec<u64> =
            self.matching(key.as_bytes()).filter(|cover| cover.hides(key)).map(|cover| cover.id).collect();
        let Some(&id) = hiding.last() else { return Covered::No };
        for cover in hiding.iter().filter(|_| room) {
            let Some(cover) = self.list.get_mut(cover) else { continue };
            cover.except.insert(key.into());
            self.exceptions += 1;
            self.bytes += key.len();
        }
        let removal = Removal { id, _under_way: self.under_way.clone() };
        if room { Covered::Excepted(removal) } else { Covered::Still(removal) }
    }

    /// So many keys went by `uncover`.
    pub fn count(&mut self, id: u64, removed: u64) {
        if let Some(cover) = self.list.get_mut(&id) {
            cover.removed += removed;
        }
    }

    /// The walk to go on with, or a new one for all that stand; none where there is nothing to be swept. `server`: its
    /// run id.
    pub fn walk(&mut self, server: Option<&str>) -> Option<Walk> {
        let wanted = |walk: &Walk| {
            walk.server.as_deref() == server && server.is_some() && self.list.values().any(|cover| walk.is_for(cover))
        };
        let old = self.walk.take().filter(wanted);
        let walk = old.or_else(|| {
            let standing = self.list.values().filter(|cover| !cover.parked);
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
        let mut parts: HashMap<(u64, bool), usize> = HashMap::new();
        let Some(walk) = &self.walk else { return picked };
        let mut passed = false;
        for value in page {
            let Value::BulkString(key) = value else { continue };
            // The server matched it already, or matched too much: only what one of the patterns means is ever removed,
            // whatever the server says.
            let matching = || self.matching(&key).filter(|cover| walk.is_for(cover));
            let Some(first) = matching().min_by_key(|cover| cover.id) else { continue };
            let spares = self.exceptions > 0 && !mutant::lacks("exception");
            if spares && matching().all(|cover| cover.excepts(&key)) {
                passed = true;
                continue;
            }
            let (id, counts) = (first.id, first.pattern.is_callers(&key));
            let at = *parts.entry((id, counts)).or_insert(picked.len());
            match picked.get_mut(at) {
                Some(part) => part.keys.push(key),
                None => picked.push(Picked { id, counts, keys: vec![key] }),
            }
        }
        if let Some(walk) = &mut self.walk {
            walk.passed |= passed;
        }
        picked
    }

    /// A page has been dealt with.
    pub fn turn(&mut self, cursor: Vec<u8>) {
        if let Some(walk) = &mut self.walk {
            walk.cursor = cursor;
        }
    }

    /// The walk has been over all keys: what it was for hides nothing any more, and is over when the keys that calls
    /// removed themselves have gone too. None where there are no such keys.
    pub fn walked(&mut self) -> Option<Watched> {
        let walk = self.walk.as_ref()?;
        self.list.values_mut().filter(|cover| walk.is_for(cover)).for_each(|cover| cover.walked = true);
        let under_way = std::mem::take(&mut self.under_way);
        (Arc::strong_count(&under_way) > 1).then(|| under_way.watch())
    }

    /// The walk is over: what it was for covers nothing any more. Whether it met trouble that nobody is told of who
    /// waits.
    pub fn finish(&mut self, trouble: Option<&Trouble>) -> bool {
        self.walk
            .take()
            .is_some_and(|walk| self.end_where(trouble, |cover| walk.is_for(cover) || mutant::lacks("walk")))
    }

    /// As `finish`, for one of them.
    pub fn refuse(&mut self, id: u64, trouble: &Trouble) -> bool {
        self.end_where(Some(trouble), |cover| cover.id == id)
    }

    fn end_where(&mut self, trouble: Option<&Trouble>, which: impl Fn(&Cover) -> bool) -> bool {
        let mut untold = false;
        let over: Vec<u64> = self.list.values().filter(|cover| which(cover)).map(|cover| cover.id).collect();
        for cover in over.into_iter().filter_map(|id| self.drop(id)) {
            untold |= trouble.is_some() && cover.waits();
            // What went is counted once, for the first of them.
            let mut removed = cover.removed;
            for live in cover.live {
                let _ = live.send(trouble.map_or(Ok(std::mem::take(&mut removed)), |trouble| Err(trouble.clone())));
            }
        }
        untold
    }

    /// The connection is lost: all wait for the next one.
    pub fn lose(&mut self) {
        let Self { list, last, walk, .. } = std::mem::take(self);
        (self.last, self.walk) = (last, walk);
        let mut walked = false;
        for mut cover in list.into_values() {
            cover.live = Vec::new();
            if std::mem::take(&mut cover.parked) {
                // Another number: the walk that goes on is not for it.
                self.last += 1;
                cover.id = self.last;
            }
            cover.except = HashSet::new();
            walked |= std::mem::take(&mut cover.walked);
            self.put(cover);
        }
        self.walk.take_if(|walk| walk.passed || walked);
    }

    fn forget(&mut self, except: &HashSet<Box<str>>) {
        self.exceptions -= except.len();
        self.bytes -= except.iter().map(|key| key.len()).sum::<usize>();
    }
}
