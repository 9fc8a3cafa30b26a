//! When the replies of several servers are told: together, or by server, and never a later one of a server first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use futures_channel::mpsc::{UnboundedReceiver, unbounded};

use crate::engine::cache::job::{Job, Part, Work};
use crate::engine::call::batch::Batch;
use crate::engine::call::reply::Reply;
use crate::engine::front::Front;
use crate::engine::route::joint::{Answering, Joint, News};
use crate::engine::route::together::TOGETHER;
use crate::engine::tests::support::{Calls, Client, cache};

pub(super) struct Bench {
    cache: Arc<Front>,
    client: Arc<Client>,
    answering: Answering,
    _news: UnboundedReceiver<News>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let (news, _news) = unbounded();
        let answering = Answering { counts: Arc::default(), together: Arc::default(), news };
        // An engine of its own, whose calls are counted: nobody listens there.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = format!("redis://127.0.0.1:1/{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { cache: cache(Some(url), "joint"), client: Client::new(), answering, _news }
    }

    pub(super) fn calls(keys: usize) -> Batch {
        (0..keys).fold(Calls::default(), |calls, n| calls.get(&format!("k{n}"))).0
    }

    /// A batch of as many reads as its parts have, under `id`; and a job for each of the parts, which have these
    /// places.
    pub(super) fn batch(&self, id: u32, parts: &[&[u32]], now: Instant) -> (Arc<Joint>, Vec<Job>) {
        let batch = Self::calls(parts.iter().map(|part| part.len()).sum());
        let server = self.cache.shared().fleet.first();
        let replies = vec![Reply::Later; batch.ops.len()];
        let alone = batch.some(0..batch.ops.len());
        let job = Job::new(self.cache.cache.clone(), server.clone(), Work::Batch(batch), self.client.to(id));
        let joint = Joint::new(job, replies, &self.answering);
        if parts.len() > 1 {
            self.answering.together.add(joint.clone(), now);
        }
        let part = |places: &&[u32]| {
            let number = self.answering.counts.sent(0);
            let part = Part {
                joint: joint.clone(),
                places: places.to_vec(),
                number,
                hops: 0,
                asks: false,
                changes: 0,
                tokens: Arc::default(),
            };
            Job::part(server.clone(), alone.some(places.iter().map(|at| *at as usize)), part)
        };
        let jobs = parts.iter().map(part).collect();
        (joint, jobs)
    }
}

fn numbers(from: i64, count: usize) -> Vec<Reply> {
    (0..count as i64).map(|n| Reply::Number(from + n)).collect()
}

#[test]
fn servers_that_answer_at_about_the_same_time_are_told_together() {
    let bench = Bench::new();
    let (_joint, mut jobs) = bench.batch(1, &[&[0, 2], &[1]], Instant::now());
    jobs.remove(1).finish(&numbers(10, 1));
    assert_eq!(bench.client.told(), []);
    jobs.remove(0).finish(&numbers(20, 2));
    let whole = vec![Reply::Number(20), Reply::Number(10), Reply::Number(21)];
    assert_eq!(bench.client.told(), [(1, vec![0, 1, 2], whole)]);
}

#[test]
fn a_server_that_lets_the_others_wait_is_told_alone() {
    let bench = Bench::new();
    let begun = Instant::now();
    let (_joint, mut jobs) = bench.batch(1, &[&[0, 3], &[1], &[2]], begun);
    jobs.remove(0).finish(&numbers(30, 2));
    bench.answering.together.tick(begun);
    assert_eq!(bench.client.told(), [], "the others have a moment");
    bench.answering.together.tick(Instant::now() + TOGETHER);
    assert_eq!(bench.client.told(), [(1, vec![0, 3], numbers(30, 2))]);
    jobs.remove(1).finish(&numbers(2, 1));
    assert_eq!(bench.client.told(), [(1, vec![2], numbers(2, 1))], "nobody waits for the last one");
    jobs.remove(0).finish(&numbers(1, 1));
    assert_eq!(bench.client.told(), [(1, vec![1], numbers(1, 1))]);
    assert_eq!(bench.cache.shared().in_flight(), 0);
    assert_eq!(
        bench.answering.together.next_moment().map(|_| bench.answering.together.tick(Instant::now() + TOGETHER * 9)),
        Some(())
    );
    assert_eq!(bench.answering.together.next_moment(), None, "nothing is looked at any more");
}

#[test]
fn what_an_older_batch_holds_is_told_before_a_younger_ones() {
    let bench = Bench::new();
    let (_old, mut old) = bench.batch(1, &[&[0], &[1]], Instant::now());
    let (_young, mut young) = bench.batch(2, &[&[0]], Instant::now());
    old.remove(0).finish(&numbers(1, 1));
    young.remove(0).finish(&numbers(2, 1));
    assert_eq!(bench.client.told(), [(1, vec![0], numbers(1, 1)), (2, vec![0], numbers(2, 1))]);
}

#[test]
fn a_late_answer_stands_behind_what_was_answered_before() {
    let bench = Bench::new();
    let (_joint, mut jobs) = bench.batch(1, &[&[0], &[1]], Instant::now());
    let late = jobs[0].to.clone();
    jobs.remove(0).finish(&[Reply::Wait]);
    late.sink.complete(77, &[Reply::Lead(5)]);
    assert_eq!(bench.client.told(), [(1, vec![0], vec![Reply::Wait]), (77, vec![0], vec![Reply::Lead(5)])]);
}

#[test]
fn a_batch_that_nobody_has_any_more_is_answered_in_process_and_no_call_twice() {
    let bench = Bench::new();
    let (joint, mut jobs) = bench.batch(1, &[&[1], &[0]], Instant::now());
    jobs.remove(0).finish(&numbers(8, 1));
    // As where a detour goes: its call is never sent.
    let last = jobs.remove(0);
    drop(joint);
    drop(last);
    assert_eq!(bench.client.told(), [(1, vec![0, 1], vec![Reply::Miss, Reply::Number(8)])]);
    assert_eq!(bench.cache.shared().in_flight(), 0);
}
