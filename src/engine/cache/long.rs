//! Long work: `delPattern`, `clear` and `getStats`, which look at every key there is, and `scan`, a page at a time.
//!
//! A sweep takes effect in three moments. When it is *called*, on the caller's thread, what the near cache has of its
//! keys ends. When it takes its *place* in the order of calls (on the engine's thread, or at once on the in-process
//! tier), computations of its keys may store nothing any more, and what both stores have of them is hidden. The rest is
//! *removal*, in steps and on the engine's thread, except for small stores: nobody who reads or writes meanwhile sees a
//! difference (marks.rs, covers.rs).

use std::sync::Arc;

use crate::engine::base::error::CallError;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::cache::local::to_i64;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::scan;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::counters::{ServerStats, add};
use crate::engine::cache::tell::stats::stats_json;
use crate::engine::call::batch::Task;
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::tier::marks::Mark;
use crate::engine::tier::spared::Spared;

/// A task that was called, and what it hides since then.
pub struct Called {
    pub task: Task,
    /// The place of the server whose part of it this is; none for all of it.
    only: Option<u16>,
    /// What none of the parts is to remove.
    spared: Option<Arc<Spared>>,
    sweep: Option<(Pattern, Vec<Arc<Mark>>)>,
}

impl Called {
    pub fn new(cache: &Cache, task: Task) -> Self {
        let pattern = match &task {
            Task::DelPattern(glob) => Some(Pattern::new(&cache.prefix, glob, false)),
            Task::Clear { flush_db } if needs_namespace(cache, *flush_db) => None,
            Task::Clear { .. } => Some(Pattern::everything(&cache.prefix)),
            Task::Stats | Task::Scan(_) => None,
        };
        let sweep = pattern.map(|pattern| {
            let near = cache.shared().fleet.servers().map(|server| server.near.cover(&pattern)).collect();
            (pattern, near)
        });
        Self { task, only: None, spared: None, sweep }
    }

    /// The part of it that concerns one server of several.
    pub fn of(cache: &Cache, task: Task, place: u16, spared: Option<Arc<Spared>>) -> Self {
        Self { only: Some(place), spared, ..Self::new(cache, task) }
    }

    /// What its parts for the servers at these places spare; none where it sweeps nothing.
    pub fn spared(&self, cache: &Cache, places: impl Iterator<Item = u16>) -> Option<Arc<Spared>> {
        self.sweep.as_ref().map(|(pattern, _)| cache.shared().sparing.begin(pattern, places))
    }

    /// Once more.
    fn anew(&self, cache: &Cache) -> Self {
        Self { only: self.only, spared: self.spared.clone(), ..Self::new(cache, self.task.clone()) }
    }

    /// It takes its place in the order of calls; nothing where it sweeps nothing, or did so already.
    pub fn take_place(&mut self, cache: &Cache) -> Option<Sweep> {
        let (pattern, near) = self.sweep.take()?;
        let shared = cache.shared();
        shared.flights.fence_matching(&pattern);
        shared.fleet.servers().zip(&near).for_each(|(server, mark)| server.near.uncover(&pattern, mark));
        let memory = shared.memory.raise(&pattern, false);
        Some(Sweep { there: self.there(shared, &pattern), pattern, near, memory })
    }

    /// What its server is to remove. One that serves nothing may be left with that for good, and nobody notes for so
    /// long what is spared.
    fn there(&self, shared: &Shared, pattern: &Pattern) -> Pattern {
        let (Some(spared), Some(place)) = (&self.spared, self.only) else { return pattern.clone() };
        spared.placed(place);
        let cluster = shared.fleet.cluster();
        let is_used = cluster.is_some_and(|cluster| cluster.server(place).is_some_and(|one| cluster.is_used(one)));
        if is_used { spared.rest_of(pattern) } else { pattern.clone() }
    }
}

/// A sweep of both stores that is under way.
pub struct Sweep {
    pub pattern: Pattern,
    /// As it is for the server that it is about.
    pub there: Pattern,
    /// One for each server.
    near: Vec<Arc<Mark>>,
    memory: Arc<Mark>,
}

impl Sweep {
    fn is_small(&self, shared: &Shared) -> bool {
        shared.memory.is_small() && shared.fleet.servers().all(|server| server.near.store().is_small())
    }

    /// Removes what is left, on this thread; how many keys of the caller's the in-process tier had.
    fn finish_at_once(&self, cache: &Cache) -> u64 {
        let shared = cache.shared();
        let now = shared.clock.now_ms();
        for (server, mark) in shared.fleet.servers().zip(&self.near) {
            server.near.store().sweep_at_once(mark, now);
        }
        let removed = shared.memory.sweep_at_once(&self.memory, now);
        add(&cache.counters.deletes, removed);
        removed
    }

    /// As `finish_at_once`, in steps.
    pub async fn finish(&self, cache: &Cache) -> u64 {
        let shared = cache.shared();
        for (server, mark) in shared.fleet.servers().zip(&self.near) {
            server.near.store().swept(mark, shared.tasks.timers()).await;
        }
        let removed = shared.memory.swept(&self.memory, shared.tasks.timers()).await;
        add(&cache.counters.deletes, removed);
        removed
    }
}

/// Answers a task on the in-process tier: at once where that is small, else through `to`.
pub fn locally(cache: &Arc<Cache>, mut called: Called, to: &ReplyTo) -> Option<Reply> {
    if let Task::Scan(scan) = &called.task {
        return Some(scan::locally(cache, scan));
    }
    // Where its server did a part of it, and is gone: once more, behind what was called meanwhile.
    let sweep = called.take_place(cache).or_else(|| called.anew(cache).take_place(cache));
    if let Some(sweep) = &sweep {
        cache.journal_pattern(&sweep.there, false, called.only);
    } else if called.task != Task::Stats {
        return Some(Reply::Error(CallError::needs_namespace()));
    }
    let shared = cache.shared();
    let small = sweep.as_ref().map_or(shared.memory.is_small(), |sweep| sweep.is_small(shared));
    // Without a thread of ours it is the caller's that does it, however long it takes.
    if small || !shared.tasks.is_driven() {
        return Some(at_once(cache, sweep.as_ref()));
    }
    let (cache, to) = (cache.clone(), to.clone());
    cache.shared().begin_long();
    shared.tasks.clone().spawn(async move {
        let reply = match sweep {
            Some(sweep) => Reply::Number(to_i64(sweep.finish(&cache).await)),
            None => stats(&cache, None).await,
        };
        cache.shared().end_long();
        to.complete(&[reply]);
    });
    None
}

fn at_once(cache: &Cache, sweep: Option<&Sweep>) -> Reply {
    match sweep {
        Some(sweep) => Reply::Number(to_i64(sweep.finish_at_once(cache))),
        None => {
            let keys = cache.shared().memory.count_at_once(cache.prefix.as_str(), cache.shared().clock.now_ms());
            Reply::Value(Json::Owned(stats_json(cache, None, keys)))
        }
    }
}

/// `getStats()`. Where the server did not say how many keys there are, they are counted here.
pub async fn stats(cache: &Cache, server: Option<&ServerStats>) -> Reply {
    let keys = match server.and_then(|server| server.keys) {
        Some(keys) => keys,
        None => cache.shared().memory.count(cache.prefix.as_str(), cache.shared().tasks.timers()).await,
    };
    Reply::Value(Json::Owned(stats_json(cache, server, keys)))
}

/// Raw keys lie beside those of others: they are not cleared unless the whole database is meant.
fn needs_namespace(cache: &Cache, flush_db: bool) -> bool {
    cache.prefix.is_raw() && cache.has_redis && !flush_db
}
