//! What anyone may send: URLs, options of calls, and replies of a server that is none. Nothing panics, nothing secret
//! is said, and every call gets one answer.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::Value;

use crate::engine::base::clock::Ttl;
use crate::engine::call::batch::Extras;
use crate::engine::call::batch::Op;
use crate::engine::call::{mend, splice};
use crate::engine::exchange::plan::Came;
use crate::engine::exchange::plan::Line;
use crate::engine::exchange::planner;
use crate::engine::net::denied::Denied;
use crate::engine::net::target::{Target, Trust};
use crate::engine::tests::now_ms;
use crate::engine::tests::support::{Calls, Client, cache};
use crate::engine::value::tags::Tokens;

const SECRET: &str = "hunter2";

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 1_500, failure_persistence: None, ..Config::default() })
}

/// Pieces of URLs in any order.
fn url() -> impl Strategy<Value = String> {
    let parts = [
        "redis",
        "rediss",
        "valkey",
        "unix",
        "redis+unix",
        "http",
        ":",
        "//",
        "/",
        "@",
        "#",
        "?",
        "&",
        "=",
        "[",
        "]",
        "::1",
        "%",
        "%40",
        "%ff",
        "%00",
        "host",
        "6379",
        "99999",
        "-1",
        "0",
        "db",
        "pass",
        "user",
        "\u{e9}",
        " ",
        "\t",
        ".",
        "..",
        SECRET,
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_url_panics_or_is_repeated() {
    let result = runner().run(&url(), |url| {
        let text = match Target::parse(&url, Trust::default()) {
            Ok(target) => format!("{target:?}"),
            Err(error) => error.message.into_owned(),
        };
        prop_assert!(!text.contains(SECRET), "{}", text);
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn options_that_are_none_say_nothing() {
    let result = runner().run(&any::<String>(), |text| {
        let read = Extras::parse(&text);
        prop_assert!(read.tags.len() <= text.len());
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
    let parsed = Extras::parse(r#"{"tags":["a"],"window":1e400,"beta":"x","extra":-1}"#);
    assert_eq!((parsed.tags.len(), parsed.window, parsed.extra), (0, 0, 0), "no JSON: {parsed:?}");
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = prop_oneof![
        Just(b"42".to_vec()),
        Just(b"{\"a\":1}".to_vec()),
        Just(b"1,2".to_vec()),
        Just(b"\xfeholdfast:lease:".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|rest| [&[0xFF, 1, 0, 7][..], &rest].concat()),
    ];
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        (-3i64..3).prop_map(Value::Int),
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Boolean),
        bytes.prop_map(Value::BulkString),
        ".{0,5}".prop_map(Value::SimpleString),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::Array))
}

#[test]
fn whatever_a_server_replies_every_call_gets_one_answer_that_is_json() {
    let cache = cache(None, "fuzz");
    let client = Client::new();
    let result = runner().run(&prop::collection::vec(value(), 0..20), |values| {
        let ttl = Ttl::Millis(1_000);
        let mut calls = Calls::default()
            .get("a")
            .get("b")
            .set("c", "1")
            .add("d", "", |key, _| Op::Ttl { key })
            .add("e", "", |key, _| Op::Exists { key })
            .add("f", "", |key, _| Op::Expire { key, ttl })
            .add("g", "", |key, _| Op::Increment { key, amount: 1, ttl: Some(ttl), more: None })
            .del("h")
            .add("i", "", |key, _| Op::Begin { key, waiter: 1, lock: false, many: false, early: false, more: Some(0) })
            .get("j");
        calls.0.extras.push(Extras { window: 1_000, ..Extras::default() });
        let to = client.to(7);
        let line = Line { server: cache.shared().server(""), denied: Denied::default(), asks: false, strays: false };
        let plan = planner::plan(&cache, &line, &calls.0, &to, Tokens::new(), now_ms());
        let (replies, verdict) = plan.settle(&cache, &calls.0, &to, Came::All(values), now_ms());
        prop_assert_eq!(replies.len(), 10);
        let mut text = String::from("[");
        splice::frame(&mut text, 7, 0, &replies, &mut Vec::new());
        text.push(']');
        let mended = mend::mend(&text);
        prop_assert!(mended.is_some(), "{}", text);
        // Its flight goes with its client, as there is no function to run.
        client.replies.lock().clear();
        cache.shared().flights.forget(client.to(0).sink.client()).send();
        drop(verdict);
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}
