//! Slots that get another owner: what is held of them, and what is to be undone in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use redis::Value;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Json;
use crate::engine::cache::job::{Job, Part, Whole, Work};
use crate::engine::cache::long::Called;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op, Task};
use crate::engine::call::reply::{Bounce, Reply};
use crate::engine::call::sink::{COUNTERS, ReplyTo, Versions};
use crate::engine::exchange::plan::Came;
use crate::engine::exchange::plan::Line;
use crate::engine::exchange::planner;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::parse::parse_slots;
use crate::engine::fleet::server::Server;
use crate::engine::fleet::slot::slot_of;
use crate::engine::front::Front;
use crate::engine::net::denied::Denied;
use crate::engine::once::waiters::{Begin, Caller, Lease};
use crate::engine::route::sweep;
use crate::engine::tests::fleet::{as_named, asked, error, slots};
use crate::engine::tests::support::{Calls, Client, cache};
use crate::engine::value::codec::Codec;
use crate::engine::value::tags::Tokens;

const KEY: &str = "moved:k";
const TTL: Ttl = Ttl::Millis(60_000);

/// A cache on a cluster of two servers, which nobody can reach; the key's slot is the first one's.
struct Bench {
    cache: Arc<Front>,
    first: Arc<Server>,
    second: Arc<Server>,
}

impl Bench {
    fn new(id: u32) -> Self {
        let cache = cache(Some(format!("redis://127.0.0.1:1/{id}")), "moved");
        let slot = i64::from(slot_of(KEY.as_bytes()));
        let ranges = [(0, slot - 1, &["b"] as &[&str]), (slot, slot, &["a"]), (slot + 1, 16_383, &["b"])];
        let topology = parse_slots(&slots(&ranges), &asked(), &as_named()).expect("an answer");
        let shared = cache.shared();
        shared.fleet.becomes(&topology, &shared.memory, false).expect("a cluster");
        let cluster = shared.fleet.cluster().expect("it became one");
        let first = shared.server(KEY).clone();
        let second = cluster.servers().find(|one| !Arc::ptr_eq(one, &first)).expect("two").clone();
        Self { cache, first, second }
    }

    fn moves(&self, to: &Arc<Server>) {
        let shared = self.cache.shared();
        let applied = shared.fleet.cluster().map(|cluster| cluster.moved(slot_of(KEY.as_bytes()), to));
        shared.moved(&applied.expect("a cluster"), shared.clock.now_ms());
    }

    fn hold(&self, server: &Server) {
        server.near.arm(u64::MAX, 0);
        let ticket = server.near.reserve(KEY).expect("nobody else reads it");
        server.near.fill(KEY, ticket, "1", None, TTL, self.cache.shared().clock.now_ms());
    }

    fn holds(&self, server: &Server) -> bool {
        server.near.get(KEY, 60_000, self.cache.shared().clock.now_ms()).is_some()
    }

    /// Whether it was written in process, and is there still.
    fn is_in_process(&self) -> bool {
        let shared = self.cache.shared();
        shared.memory.get(KEY, shared.clock.now_ms()).is_some()
    }

    fn write_in_process(&self) {
        let shared = self.cache.shared();
        shared.memory.set(KEY, "1", TTL, shared.clock.now_ms());
    }

    /// A server is sent a `set` of the key, which it answers so; how many commands that took.
    fn set(&self, server: &Arc<Server>, answer: Value) -> usize {
        let (client, cache): (_, &Arc<Cache>) = (Client::new(), &self.cache.cache);
        let (calls, to) = (Calls::default().set("k", "2"), client.to(1));
        let line = Line { server, denied: Denied::default(), asks: false, strays: false };
        let now = cache.shared().clock.now_ms();
        let plan = planner::plan(cache, &line, &calls.0, &to, Tokens::new(), now);
        let commands = plan.pipeline.len();
        // Whatever the sweep removes in front of it was not there.
        let mut came = vec![Value::Int(0); commands - 1];
        came.push(answer);
        drop(plan.settle(cache, &calls.0, &to, Came::All(came), now));
        commands
    }

    /// `delPattern` is called: a part for each of the two servers.
    fn sweep(&self, client: &Arc<Client>) -> [Job; 2] {
        let cache = &self.cache.cache;
        let called = Work::Task(Called::new(cache, Task::DelPattern("*".into())));
        let job = Job::new(cache.clone(), cache.shared().fleet.first().clone(), called, client.to(1));
        let mut parts = sweep::split(job, &Arc::default()).expect("a cluster");
        parts.sort_by_key(|(server, _)| !Arc::ptr_eq(server, &self.first));
        let jobs: Vec<Job> = parts.into_iter().map(|(_, job)| job).collect();
        jobs.try_into().unwrap_or_else(|_| panic!("two servers"))
    }
}

/// The part of a sweep takes its place at its server.
fn takes_place(part: &mut Job) {
    let cache = part.cache.clone();
    let Work::Task(called) = &mut part.work else { panic!("it is a task") };
    let sweep = called.take_place(&cache).expect("a sweep");
    drop(part.server().journal.raise(sweep.there));
}

/// A batch of which one part is told of.
struct Told(Arc<Cache>, Mutex<Vec<Reply>>);

impl Whole for Told {
    fn fill(&self, _: &Server, _: &Part, _: &Batch, replies: &[Reply]) {
        self.1.lock().extend_from_slice(replies);
    }

    fn common(&self) -> (Arc<Cache>, ReplyTo, Instant) {
        (self.0.clone(), Client::new().to(1), self.0.shared().clock.now())
    }
}

struct Counters(Box<[AtomicI32]>);

impl Versions for Counters {
    fn counters(&self) -> &[AtomicI32] {
        &self.0
    }
}

#[test]
fn hot_values_of_a_slot_that_leaves_a_server_end() {
    let bench = Bench::new(21);
    let counters = Arc::new(Counters((0..COUNTERS).map(|_| AtomicI32::new(0)).collect()));
    bench.first.near.share(counters.clone());
    bench.hold(&bench.first);
    let (slot, noted) = bench.first.near.note(&*counters, KEY);
    assert_eq!(counters.0[slot].load(Ordering::SeqCst), noted);
    bench.moves(&bench.second);
    assert_ne!(counters.0[slot].load(Ordering::SeqCst), noted);
}

#[test]
fn what_a_server_held_of_a_slot_before_is_not_served_when_it_has_that_again() {
    let bench = Bench::new(22);
    bench.hold(&bench.first);
    assert!(bench.holds(&bench.first));
    bench.moves(&bench.second);
    bench.moves(&bench.first);
    assert!(!bench.holds(&bench.first), "others have written it elsewhere, and nobody told of that here");
}

#[test]
fn what_was_written_in_process_goes_when_another_server_has_the_slot_and_is_there() {
    let bench = Bench::new(23);
    bench.write_in_process();
    bench.second.standing.lock().up = true;
    bench.moves(&bench.second);
    assert!(!bench.is_in_process(), "the next outage would show it");
    // From one that is there to another one nothing was written in its place.
    bench.write_in_process();
    bench.moves(&bench.first);
    assert!(bench.is_in_process());
}

#[test]
fn what_was_written_in_process_while_nobody_served_the_slot_goes_when_somebody_does() {
    for is_up in [true, false] {
        let bench = Bench::new(if is_up { 37 } else { 38 });
        let shared = bench.cache.shared();
        let unserved = shared.fleet.unserved(slot_of(KEY.as_bytes()), bench.first.place);
        shared.moved(&unserved, shared.clock.now_ms());
        bench.write_in_process();
        bench.second.standing.lock().up = is_up;
        bench.moves(&bench.second);
        assert_eq!(bench.is_in_process(), !is_up, "the next outage would show it");
        assert!(bench.second.heir.load(Ordering::SeqCst), "it goes when that is in use");
    }
}

#[test]
fn a_write_that_is_done_ends_what_was_written_in_process_before() {
    let bench = Bench::new(24);
    let (client, cache): (_, &Arc<Cache>) = (Client::new(), &bench.cache.cache);
    bench.write_in_process();
    let (calls, to) = (Calls::default().set("k", "2"), client.to(1));
    let line = Line { server: &bench.first, denied: Denied::default(), asks: false, strays: false };
    let now = cache.shared().clock.now_ms();
    let plan = planner::plan(cache, &line, &calls.0, &to, Tokens::new(), now);
    drop(plan.settle(cache, &calls.0, &to, Came::All(vec![Value::Okay]), now));
    assert!(!bench.is_in_process());
}

#[test]
fn a_call_that_waited_at_a_server_that_has_lost_its_slot_is_not_sent_there() {
    let bench = Bench::new(25);
    let (client, cache) = (Client::new(), &bench.cache.cache);
    bench.moves(&bench.second);
    let (calls, to) = (Calls::default().get("k"), client.to(1));
    let now = cache.shared().clock.now_ms();
    for (strays, server, sent) in [(true, &bench.first, 0), (true, &bench.second, 1), (false, &bench.first, 1)] {
        let line = Line { server, denied: Denied::default(), asks: false, strays };
        let plan = planner::plan(cache, &line, &calls.0, &to, Tokens::new(), now);
        assert_eq!(plan.pipeline.len(), sent);
    }
}

#[test]
fn what_was_never_sent_goes_where_its_slot_is_and_the_rest_is_answered_in_process() {
    let bench = Bench::new(29);
    let shared = bench.cache.shared();
    bench.moves(&bench.second);
    let changes = || shared.fleet.cluster().map_or(0, Cluster::changes);
    let chosen = changes();
    let told = Arc::new(Told(bench.cache.cache.clone(), Mutex::default()));
    let part = |changes| Part {
        joint: told.clone(),
        places: vec![0, 1],
        number: 0,
        hops: 0,
        asks: false,
        changes,
        tokens: Arc::default(),
    };
    let calls = || Calls::default().get("k").set("other", "1").0;
    let job = Job::part(bench.second.clone(), calls(), part(chosen));
    assert!(!job.strays());
    bench.moves(&bench.first);
    assert!(job.strays());
    // Its node ends.
    drop(job);
    let slot = slot_of(KEY.as_bytes());
    let elsewhere = Reply::Bounced(Bounce { slot, asks: false, to: bench.first.place, unserved: false });
    assert_eq!(std::mem::take(&mut *told.1.lock()), [elsewhere, Reply::Done]);
    assert!(shared.memory.get("moved:other", shared.clock.now_ms()).is_some());
    // And where nothing has moved since, all of it.
    drop(Job::part(bench.second.clone(), calls(), part(changes())));
    assert_eq!(*told.1.lock(), [Reply::Miss, Reply::Done]);
}

#[test]
fn what_began_while_the_owner_of_a_slot_was_away_is_not_stored_at_the_next_one() {
    for is_up in [false, true] {
        let bench = Bench::new(if is_up { 26 } else { 27 });
        bench.first.standing.lock().up = is_up;
        let (client, flights) = (Client::new(), &bench.cache.shared().flights);
        let caller = Caller { to: client.to(1), window: 0, many: false, codec: Codec::Json };
        let Begin::Read(token) = flights.begin(KEY, caller, 0) else { panic!("nobody else asked") };
        assert!(flights.lead(KEY, token, &client.to(0), Lease::None, None, 0).leads);
        bench.moves(&bench.second);
        assert_eq!(flights.landing(KEY, token).is_some(), is_up);
    }
}

#[test]
fn what_a_lost_connection_left_open_comes_behind_what_waits_of_its_slot() {
    let bench = Bench::new(28);
    let (client, cache) = (Client::new(), &bench.cache.cache);
    let now = cache.shared().clock.now_ms();
    let lost = |calls: Calls| {
        let line = Line { server: &bench.first, denied: Denied::default(), asks: false, strays: false };
        let to = client.to(1);
        let plan = planner::plan(cache, &line, &calls.0, &to, Tokens::new(), now);
        let (replies, verdict) = plan.settle(cache, &calls.0, &to, Came::Lost(Vec::new()), now);
        drop(verdict);
        replies
    };
    assert_eq!(lost(Calls::default().set("k", "1").get("k")), [Reply::Done, Reply::Value(Json::Shared("1".into()))]);
    bench.moves(&bench.second);
    let slot = slot_of(KEY.as_bytes());
    // The write in process, in its place; the read where the slot is.
    let in_process = Reply::Bounced(Bounce { slot, asks: true, to: 0, unserved: false });
    let elsewhere = Reply::Bounced(Bounce { slot, asks: false, to: bench.second.place, unserved: false });
    assert_eq!(lost(Calls::default().set("k", "2").get("k")), [in_process, elsewhere]);
}

#[test]
fn what_was_stored_behind_a_sweep_stays_where_its_slot_goes_to_a_server_that_is_still_to_do_its_part() {
    const BESIDE: &str = "moved:{moved:k}";
    assert_eq!(slot_of(BESIDE.as_bytes()), slot_of(KEY.as_bytes()));
    for (id, [is_over, had_place]) in (30..).zip([[false, false], [false, true], [true, false], [true, true]]) {
        let bench = Bench::new(id);
        let client = Client::new();
        let [mut here, mut there] = bench.sweep(&client);
        takes_place(&mut here);
        if had_place {
            takes_place(&mut there);
        }
        if is_over {
            bench.first.journal.walk(None);
            bench.first.journal.walked(None);
        }
        assert_eq!(bench.set(&bench.first, Value::Okay), if is_over { 1 } else { 2 });
        bench.moves(&bench.second);
        if !had_place {
            takes_place(&mut there);
        }
        assert!(!bench.second.journal.covers(KEY), "its walk would find what is newer");
        assert!(bench.second.journal.covers(BESIDE), "nobody wrote that since");
        assert_eq!(bench.set(&bench.second, Value::Okay), 1, "nothing is to be removed in front of it");
        bench.second.journal.walk(None);
        bench.second.journal.walked(None);
        drop([here, there]);
        assert_eq!(client.reply(1).map(|replies| replies.len()), Some(1));
    }
}

#[test]
fn a_sweep_spares_nothing_that_its_server_did_not_store_behind_it() {
    let asks = || Value::ServerError(error("ASK 1 b:6379"));
    for (id, [is_behind, is_stored]) in (34..).zip([[false, true], [true, false], [true, true]]) {
        let bench = Bench::new(id);
        let [mut here, mut there] = bench.sweep(&Client::new());
        takes_place(&mut there);
        if is_behind {
            takes_place(&mut here);
        }
        bench.set(&bench.first, if is_stored { Value::Okay } else { asks() });
        assert_eq!(bench.second.journal.covers(KEY), !(is_behind && is_stored));
    }
}

#[test]
fn a_question_whose_key_leaves_between_its_commands_is_asked_where_that_is() {
    let bench = Bench::new(29);
    let (client, cache, server) = (Client::new(), &bench.cache.cache, &bench.first);
    let calls = Calls::default().add("k", "", |key, _| Op::Ttl { key });
    let line = Line { server, denied: Denied::default(), asks: false, strays: false };
    let plan = planner::plan(cache, &line, &calls.0, &client.to(1), Tokens::new(), 0);
    let came = vec![Value::BulkString(b"1".to_vec()), Value::ServerError(error("ASK 1 b:6379"))];
    let (replies, _) = plan.settle(cache, &calls.0, &client.to(1), Came::All(came), 0);
    assert!(matches!(replies[..], [Reply::Bounced(Bounce { asks: true, .. })]), "{replies:?}");
}
