//! The tokens of many tags: each looked up and asked for once, in pipelines of bounded length.

use crate::engine::exchange::tokens::{Heard, MAX_ASKED, Missing, ask};
use crate::engine::net::denied::Denied;
use crate::engine::tests::now_ms;
use crate::engine::tests::support::cache;
use crate::engine::value::tags::Tokens;
use redis::Value;

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
                assert!(keys.iter().enumerate().all(|(n, key)| *tokens[&**key] == *format!("\"{n}\"")));
                return;
            }
        }
    }
}
