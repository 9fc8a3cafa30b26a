//! The tokens of many tags: each looked up and asked for once, in pipelines of bounded length; and those of tags that a
//! computation named.

use crate::engine::base::key::Prefix;
use crate::engine::base::random::Random;
use crate::engine::call::batch::{Extras, Op};
use crate::engine::exchange::tokens::{self, Heard, LIFE, MAX_ASKED, Missing, ask};
use crate::engine::net::denied::{Denied, Lack};
use crate::engine::tests::now_ms;
use crate::engine::tests::support::{Calls, cache};
use crate::engine::value::record;
use crate::engine::value::tag_list::Tag;
use crate::engine::value::tags::{self, Tokens};
use redis::{Pipeline, Value};
use std::sync::Arc;

#[test]
fn a_tag_that_many_entries_have_is_looked_up_once() {
    let cache = cache(None, "app");
    let mut missing = Missing::new(&cache, now_ms());
    let looked_up = std::cell::Cell::new(0);
    for _ in 0..1_000 {
        for name in ["a", "b", "c"] {
            missing.look(name, |key| {
                looked_up.set(looked_up.get() + 1);
                key.ends_with('c')
            });
        }
    }
    assert_eq!(looked_up.get(), 3);
    assert_eq!(missing.into_both().0, ["app:\0tag\0a", "app:\0tag\0b"]);
}

#[test]
fn pipelines_that_ask_for_many_tokens_are_bounded_and_bring_all_of_them() {
    let cache = cache(None, "app");
    let keys: Vec<String> = (0..2 * MAX_ASKED + 7).map(|n| format!("app:\0tag\0{n}")).collect();
    // One that may leave the near cache while the others are asked for.
    let known = Tokens::from([("app:\0tag\0known".into(), "\"known\"".into())]);
    let server = cache.shared().server("").clone();
    let (mut pipeline, mut asked) = ask(&server, &cache, (keys.clone(), known), false, Denied::default(), now_ms());
    let mut next = 0..keys.len();
    for round in 1.. {
        assert!(pipeline.len() <= 2 * MAX_ASKED, "{} commands", pipeline.len());
        let token = |n: usize| Value::BulkString(format!("\"{n}\"").into());
        let replies =
            next.by_ref().take(pipeline.len() / 2).flat_map(|n| [token(n), Value::Int(1_000_000_000_000)]).collect();
        match asked.heard(&cache, &server, replies, now_ms()).expect("no trouble").0 {
            Heard::More(more, rest) => (pipeline, asked) = (more, *rest),
            Heard::All(tokens) => {
                assert_eq!(round, 3);
                assert_eq!(tokens.len(), keys.len() + 1);
                assert_eq!(*tokens["app:\0tag\0known"], *"\"known\"");
                assert!(
                    keys.iter().enumerate().all(|(n, key)| *record::current(&tokens[&**key]) == *format!("\"{n}\""))
                );
                return;
            }
        }
    }
}

/// What a record that has lived for `age` milliseconds reads as, if it was asked for at 1,000,000 and came at
/// 1,000,040.
fn read(record: &str, age: i64) -> Arc<str> {
    let cache = cache(None, "app");
    let server = cache.shared().server("").clone();
    let key = "app:\0tag\0a";
    let (_, asked) = ask(&server, &cache, (vec![key.to_owned()], Tokens::new()), false, Denied::default(), 1_000_000);
    let left = i64::try_from(LIFE.as_millis()).unwrap() - age;
    let replies = vec![Value::BulkString(record.into()), Value::Int(left)];
    match asked.heard(&cache, &server, replies, 1_000_040).expect("no trouble").0 {
        Heard::All(tokens) => tokens[key].clone(),
        Heard::More(..) => panic!("there is one to ask for"),
    }
}

/// The tags of a result whose function began at `since` and named `a` and `b`, of which `b` was known.
fn named(since: u64, vouched: bool, record: Option<Arc<str>>) -> Option<Vec<Tag>> {
    let extras = Extras { named: vec!["a".into(), "b".into()], since, ..Extras::default() };
    let known = [Tag { name: "b".into(), token: "\"known\"".into() }];
    tags::named(&extras, &known, &Prefix::new("app"), vouched, |key| record.clone().filter(|_| key == "app:\0tag\0a"))
}

#[test]
fn a_tag_that_a_computation_named_has_its_token_unless_it_was_ended_since() {
    let tag = Some(vec![Tag { name: "a".into(), token: "\"t\"".into() }]);
    // It ended a hundred milliseconds before it was asked about, or up to 42 later, as the reply took 40.
    for record in ["\"t@5\"", "\"t@5;u+0/9\""] {
        let ended = read(record, 100);
        assert_eq!(named(999_943, true, Some(ended.clone())), tag, "{ended}");
        assert_eq!(named(999_942, true, Some(ended.clone())), None, "{ended}");
    }
    // Made just now, as there was none: nobody has ended it, where ends leave records and none was lost.
    let new = read("\"t\"", 0);
    assert_eq!(named(1, true, Some(new.clone())), tag);
    assert_eq!(named(1, false, Some(new)), None);
    // It was there before.
    assert_eq!(named(999_943, false, Some(read("\"t\"", 100))), tag);
    // Nobody knows.
    assert_eq!(named(u64::MAX, true, None), None);
}

#[test]
fn what_is_undone_of_a_tag_leaves_a_record_of_its_end() {
    let random = Random::System;
    let sent = |key: &str, denied: Denied| {
        let mut pipeline = Pipeline::new();
        tokens::undo(&mut pipeline, key, &random, denied);
        String::from_utf8_lossy(&pipeline.get_packed_pipeline()).into_owned()
    };
    for tag in ["app:\0tag\0a", "\0tag\0a:b"] {
        assert!(sent(tag, Denied::default()).contains("\r\nEVAL\r\n"), "{tag}");
        // An end is a removal where no scripts run.
        let denied = Denied { scripts: Lack::Denied, ..Denied::default() };
        assert!(sent(tag, denied).contains("\r\nUNLINK\r\n"), "{tag}");
    }
    // Anybody's keys.
    for key in ["app:a", "app:a\0tag\0a", "app:a:\0tag\0a", "app:\0refresh\0a", "x\0tag\0a"] {
        assert!(sent(key, Denied::default()).contains("\r\nUNLINK\r\n"), "{key}");
    }
}

#[test]
fn of_a_result_only_the_tags_that_it_named_are_asked_for_and_of_a_call_behind_it_all() {
    let cache = cache(None, "app");
    let keys = |extras: &Extras, behind: bool| {
        let mut batch = Calls::default().set("a", "1").set("b", "2").0;
        batch.extras.push(extras.clone());
        for op in &mut batch.ops {
            if let Op::Set { more, .. } = op {
                *more = Some(0);
            }
        }
        if let Op::Set { key, value, ttl, more } = batch.ops[0] {
            batch.ops[0] = Op::End { key, value, ttl, token: 1, more };
        }
        batch.ops.truncate(if behind { 2 } else { 1 });
        tokens::wanted(&cache, &batch, now_ms()).0
    };
    let plain = Extras { tags: vec!["t".into()], ..Extras::default() };
    let named = Extras { named: vec!["n".into()], tags: vec!["t".into(), "n".into()], ..Extras::default() };
    assert_eq!(keys(&plain, false), [""; 0]);
    assert_eq!(keys(&plain, true), ["app:\0tag\0t"]);
    assert_eq!(keys(&named, false), ["app:\0tag\0n"]);
    assert_eq!(keys(&named, true), ["app:\0tag\0n", "app:\0tag\0t"]);
}
