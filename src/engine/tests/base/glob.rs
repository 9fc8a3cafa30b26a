//! The glob matcher against a real Redis: the same keys match, whatever the pattern.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::engine::base::glob;
use crate::engine::tests::support::Server;

/// Few letters, many special characters: patterns that nearly match.
fn pattern() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(b"abc".to_vec()).prop_map(|b| vec![b]),
        3 => prop::sample::select(b"*?[]^-\\".to_vec()).prop_map(|b| vec![b]),
        1 => any::<u8>().prop_filter("SCAN's pattern is a C string to nobody, but NUL ends Redis' own look-ahead", |b| *b != 0).prop_map(|b| vec![b]),
        2 => prop::sample::select(vec!["[a-c]", "[^a]", "[^", "[a-", "[]", "[\\]]", "[c-a]", "\\*", "**", "[a\\-c]"])
            .prop_map(|s| s.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let (letters, special) = (prop::sample::select(b"abc".to_vec()), prop::sample::select(b"*?[]^-\\".to_vec()));
    let byte = prop_oneof![6 => letters, 1 => special, 1 => any::<u8>()];
    prop::collection::vec(byte, 1..7)
}

#[test]
fn matches_as_a_real_redis_does() {
    let server = Server::start();
    let connection = std::cell::RefCell::new(server.connection());
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    let result = runner.run(&(pattern(), prop::collection::hash_set(text(), 1..8)), |(pattern, keys)| {
        let mut pipe = redis::pipe();
        pipe.cmd("FLUSHALL").ignore();
        for key in &keys {
            pipe.cmd("SET").arg(key).arg(1).ignore();
        }
        // KEYS on a handful of keys of the test's own server: the same matcher as SCAN's, in one round trip.
        pipe.cmd("KEYS").arg(&pattern);
        let (mut theirs,): (Vec<Vec<u8>>,) =
            pipe.query(&mut *connection.borrow_mut()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let mut ours: Vec<Vec<u8>> = keys.into_iter().filter(|key| glob::matches(&pattern, key)).collect();
        theirs.sort();
        ours.sort();
        prop_assert_eq!(theirs, ours, "pattern {:?}", String::from_utf8_lossy(&pattern));
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_pattern_of_many_stars_takes_no_exponential_time() {
    let pattern = "a*".repeat(200) + "b";
    assert!(!glob::matches(pattern.as_bytes(), "a".repeat(5_000).as_bytes()));
}

#[test]
fn an_escaped_text_matches_itself_alone() {
    for text in ["ns:", "a*b", "[x]", "a\\b", "q?^-"] {
        assert!(glob::matches(glob::escape(text).as_bytes(), text.as_bytes()), "{text}");
    }
    assert!(!glob::matches(glob::escape("a*").as_bytes(), b"ab"));
}
