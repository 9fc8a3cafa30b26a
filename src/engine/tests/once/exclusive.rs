//! Who may run under a name: one at a time, in the table of this process and in Redis.

use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Op;
use crate::engine::call::reply::Reply;
use crate::engine::once::exclusive::{Exclusive, Who};
use crate::engine::tests::support::{Calls, Client, Server, cache, in_mode, patient};

const A: Who = Who { client: 1, token: 1 };
const B: Who = Who { client: 2, token: 1 };

#[test]
fn a_name_is_held_by_one_until_its_time_is_over() {
    let held = Exclusive::default();
    assert!(held.take("n", A, 100, 0));
    assert!(!held.take("n", B, 200, 99), "another environment, with the same number");
    assert!(held.take("m", B, 200, 99), "another name");
    assert!(held.take("n", A, 150, 99), "its holder takes it again");
    assert!(!held.take("n", B, 200, 149));
    assert!(held.take("n", B, 200, 150), "its time is over");
    assert!(!held.renew("n", A, 300, 150), "it is the other one's");
}

#[test]
fn a_renewal_keeps_what_is_held_and_revives_nothing() {
    let held = Exclusive::default();
    assert!(!held.renew("n", A, 100, 0), "it was never held");
    assert!(held.take("n", A, 100, 0));
    assert!(held.renew("n", A, 200, 99));
    assert!(!held.take("n", B, 300, 199));
    assert!(!held.renew("n", A, 300, 200), "its time was over");
    assert!(held.take("n", B, 300, 200));
}

#[test]
fn its_holder_alone_gives_it_up() {
    let held = Exclusive::default();
    assert!(held.take("n", A, 100, 0));
    held.release("n", B);
    assert!(!held.take("n", B, 100, 0));
    held.release("n", A);
    assert!(held.take("n", B, 100, 0));
}

const KEY: &str = "\0lease\0n";

fn hold(calls: Calls, token: u32, ttl: u64, renews: bool) -> Calls {
    calls.add(KEY, "", |key, _| Op::Hold { key, ttl, token, renews, more: None })
}

#[test]
fn a_lease_is_taken_renewed_and_given_up_in_both_tiers() {
    let server = Server::start();
    for (url, mode, had) in [(None, Mode::Memory, 2), (server.url(), Mode::Redis, 1)] {
        let cache = cache(url, "app");
        in_mode(&cache, mode);
        let client = Client::new();
        let one = |token, ttl, renews| client.run(&cache, hold(Calls::default(), token, ttl, renews).0);
        assert_eq!(one(1, 60_000, true), [Reply::Number(0)], "nobody has it to renew");
        assert_eq!(one(1, 60_000, false), [Reply::Number(had)]);
        assert_eq!(one(2, 60_000, false), [Reply::Number(0)]);
        assert_eq!(one(1, 60_000, true), [Reply::Number(had)]);
        one(2, 0, true);
        assert_eq!(one(2, 60_000, false), [Reply::Number(0)], "the end of another one");
        one(1, 0, true);
        assert_eq!(one(2, 60_000, false), [Reply::Number(had)]);
        // In one batch, in its order.
        let calls = hold(hold(hold(Calls::default(), 2, 0, true), 3, 60_000, false), 4, 60_000, false);
        assert_eq!(client.run(&cache, calls.0)[1..], [Reply::Number(had), Reply::Number(0)]);
        one(3, 0, true);
    }
}

#[test]
fn what_redis_says_counts_for_this_process_too() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    let one = |token, ttl, renews| client.run(&cache, hold(Calls::default(), token, ttl, renews).0);
    let mut admin = server.connection();
    let stored = format!("app:{KEY}");
    let () = redis::cmd("SET").arg(&stored).arg("of another process").query(&mut admin).expect("set");
    assert_eq!(one(1, 60_000, false), [Reply::Number(0)]);
    let () = redis::cmd("DEL").arg(&stored).query(&mut admin).expect("del");
    assert_eq!(one(2, 60_000, false), [Reply::Number(1)], "the first one has nothing here");
    let left: u64 = redis::cmd("PTTL").arg(&stored).query(&mut admin).expect("pttl");
    assert!(left > 0 && left <= 60_000);
    // A set, as where scripts are denied.
    let () = redis::cmd("DEL").arg(&stored).query(&mut admin).expect("del");
    let () = redis::cmd("SADD").arg(&stored).arg("another").query(&mut admin).expect("sadd");
    assert_eq!(one(2, 60_000, true), [Reply::Number(0)]);
    assert_eq!(one(3, 60_000, false), [Reply::Number(0)]);
    let there: u64 = redis::cmd("SCARD").arg(&stored).query(&mut admin).expect("scard");
    assert_eq!(there, 1);
}
