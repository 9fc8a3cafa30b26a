//! Splicing: whatever bytes lie in Redis, the text is one JSON text and each reply stands in its own place.

use proptest::prelude::*;

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::CallError;
use crate::engine::base::text::{Json, Kept, LONE_BYTES, MOST_WITHIN, Span};
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::splice;

#[test]
fn bytes_that_are_no_json_text_are_refused() {
    for bad in [
        &b"1,2"[..],
        b"\"a",
        b"]",
        b"[",
        b"",
        b"\0",
        b"{\"a\":",
        b"\xff\xfe",
        b"1 2",
        b"nul",
        b"01",
        b"\"\n\"",
        b"{\"a\":1}}",
        b"'a'",
    ] {
        assert_eq!(Json::checked(bad.to_vec()), None, "{bad:?}");
    }
    for good in ["1", "-0", "1e400", "\"\\ud800\"", " [1] ", "{\"__proto__\":{}}", "null", "\"\u{7f}é\""] {
        assert!(Json::checked(good.into()).is_some(), "{good}");
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(Json::checked(deep.into_bytes()).is_some(), "depth costs no stack");
}

#[test]
fn a_frame_holds_every_kind_of_reply() {
    let mut text = String::from("[");
    let json = |s: &str| Json::Owned(s.to_owned());
    let replies = [
        Reply::Value(json("{\"a\":1}")),
        Reply::Miss,
        Reply::Done,
        Reply::Number(-7),
        Reply::Flag(true),
        Reply::Left(Ttl::Millis(1500)),
        Reply::Left(Ttl::Forever),
        Reply::Hit(json("null")),
        Reply::Lead(7),
        Reply::Follow(8),
        Reply::Wait,
        Reply::Nothing,
        Reply::Error(CallError::new("ERR_X", "say \"what\"\u{2028}")),
    ];
    splice::frame(&mut text, 9, 0, &replies, &mut Vec::new());
    text.push(']');
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("one JSON text");
    let expected = serde_json::json!([
        9,
        0,
        [{"a": 1}, null, 0, -7, true, 1500, -1, [0, null], [1, 7], [2, 8], [3], [4], null],
        [[12, "ERR_X", "say \"what\"\u{2028}"]]
    ]);
    assert_eq!(parsed, expected);
}

#[test]
fn long_replies_go_in_several_frames_each_of_which_says_where_it_begins() {
    let value = |length: usize| Reply::Value(Json::Owned(format!("\"{}\"", "x".repeat(length))));
    let error = Reply::Error(CallError::new("ERR_X", "no"));
    let replies = [value(10), value(10), value(500), Reply::Miss, error, value(50), value(60)];
    let mut text = String::from("[");
    for (from, part) in splice::parts(&replies, 100) {
        if text.len() > 1 {
            text.push(',');
        }
        splice::frame(&mut text, 7, from, part, &mut Vec::new());
    }
    text.push(']');
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("one JSON text");
    let x = |length: usize| "x".repeat(length);
    let expected = serde_json::json!([
        7,
        0,
        [x(10), x(10)],
        0,
        7,
        2,
        [x(500)],
        0,
        7,
        3,
        [null, null],
        [[4, "ERR_X", "no"]],
        7,
        5,
        [x(50)],
        0,
        7,
        6,
        [x(60)],
        0,
    ]);
    assert_eq!(parsed, expected);
}

#[test]
fn a_long_value_comes_beside_its_frame_whatever_it_is() {
    let long = |sign: &str| sign.repeat(LONE_BYTES + 1);
    let (open, shut) = (Json::passing(long("[").into()), Json::passing(long("]").into()));
    let (Some(open), Some(shut)) = (open, shut) else { panic!("both are passed on") };
    let replies = [Reply::Value(open), Reply::Value(Json::of("1".into())), Reply::Miss, Reply::Hit(shut)];
    let (mut text, mut lone) = (String::new(), Vec::new());
    splice::frame(&mut text, 7, 3, &replies, &mut lone);
    assert_eq!(text, "7,3,[0,1,null,[0,0]],[[3],[6]]");
    assert_eq!(lone.iter().map(Json::as_str).collect::<Vec<_>>(), [long("["), long("]")]);
    assert_eq!(Json::checked(long("[").into()), None);
}

#[test]
fn bytes_and_texts_come_beside_their_frame_as_what_they_are() {
    let bytes = || Json::Shared(Kept::bytes(vec![0xFF; MOST_WITHIN + 1]));
    let text = || Kept::text("\"],[".repeat(MOST_WITHIN));
    let replies = [
        Reply::Value(bytes()),
        Reply::Miss,
        Reply::Hit(Json::Shared(text())),
        Reply::Error(CallError::new("ERR_X", "no")),
        Reply::LeadOver(7, -2, text()),
        Reply::Stale(bytes()),
        Reply::LeadOver(8, 1, "[1]".into()),
    ];
    let (mut out, mut lone) = (String::new(), Vec::new());
    splice::frame(&mut out, 7, 3, &replies, &mut lone);
    let asides = "[[3,1],[5,1],[6,\"ERR_X\",\"no\"],[7,1],[8,1]]";
    assert_eq!(out, format!("7,3,[0,null,[0,0],null,[1,7,-2,0],[6,0],[1,8,1,[1]]],{asides}"));
    assert_eq!(lone, [bytes(), Json::Shared(text()), Json::Shared(text()), bytes()]);
    let (mut early, mut beside) = (String::new(), Vec::new());
    splice::at_once(&mut early, &replies[..2], &mut beside);
    assert_eq!((early.as_str(), beside), ("[0,null],[[0,1]],0,0", vec![bytes()]));
}

#[test]
fn a_part_of_a_batch_has_the_values_of_its_own_operations() {
    let set =
        |at: u32, value: Span| Op::Set { key: Span { start: at, end: at + 1 }, value, ttl: Ttl::Forever, more: None };
    let whole = |at: usize| Span::whole(at).unwrap();
    let batch = Batch {
        text: "abcd1".to_owned(),
        ops: vec![set(0, whole(0)), set(1, Span { start: 4, end: 5 }), set(2, whole(1)), set(3, whole(2))],
        whole: vec![Kept::bytes(vec![0]), Kept::text("1".to_owned()), Kept::bytes(vec![2])],
        ..Batch::default()
    };
    let values = |batch: &Batch| -> Vec<(String, Kept)> {
        let each = |op: &Op| match op {
            Op::Set { key, value, .. } => (batch.str(*key).to_owned(), batch.value(*value).keep()),
            _ => panic!("a set"),
        };
        batch.ops.iter().map(each).collect()
    };
    let all = values(&batch);
    assert_eq!(all.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(all[1].1, "1".into(), "what lies in the text is JSON");
    let part = batch.some([1, 3, 0]);
    assert_eq!(values(&part), [all[1].clone(), all[3].clone(), all[0].clone()]);
    assert_eq!(part.whole.len(), 2, "and no others");
    assert_eq!(batch.str(whole(1)), "", "no place in the text");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neighbours_keep_their_places_whatever_the_bytes(
        values in prop::collection::vec("[\\[\\]{}\",:0-9a \\\\]{0,6}", 1..12),
    ) {
        let reply = |text: &String| Json::checked(text.clone().into_bytes()).map_or(Reply::Miss, Reply::Value);
        let replies: Vec<Reply> = values.iter().map(reply).collect();
        let mut text = String::from("[");
        splice::body(&mut text, 0, &replies, &mut Vec::new());
        text.push(']');
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("one JSON text");
        prop_assert_eq!(parsed[0].as_array().map(Vec::len), Some(values.len()));
        for (i, value) in values.iter().enumerate() {
            let alone: serde_json::Value = serde_json::from_str(value).unwrap_or(serde_json::Value::Null);
            prop_assert_eq!(&parsed[0][i], &alone);
        }
    }

    #[test]
    fn whole_values_go_to_their_own_places_whatever_they_are(
        kinds in prop::collection::vec((0..5_u8, "[\\[\\]{}\",:0-9a \\\\]{0,6}"), 1..12),
    ) {
        let long = |text: &String| text.repeat(MOST_WITHIN) + "x";
        let reply = |(kind, text): &(u8, String)| match kind {
            0 => Reply::Value(Json::Shared(Kept::bytes(long(text).into_bytes()))),
            1 => Reply::Hit(Json::Shared(Kept::text(long(text)))),
            2 => Reply::LeadOver(1, 5, Kept::bytes(long(text).into_bytes())),
            3 => Json::checked(text.clone().into_bytes()).map_or(Reply::Miss, Reply::Value),
            _ => Reply::Value(Json::Lone(std::sync::Arc::new(format!("[{LONE_BYTES}]")))),
        };
        let replies: Vec<Reply> = kinds.iter().map(reply).collect();
        let (mut text, mut lone) = (String::from("["), Vec::new());
        splice::body(&mut text, 0, &replies, &mut lone);
        text.push(']');
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("one JSON text");
        prop_assert_eq!(parsed[0].as_array().map(Vec::len), Some(kinds.len()));
        let mut lone = lone.into_iter();
        let empty = Vec::new();
        for aside in parsed[1].as_array().unwrap_or(&empty) {
            let (kind, text) = &kinds[usize::try_from(aside[0].as_u64().unwrap()).unwrap()];
            prop_assert_eq!(aside.get(1).is_some(), *kind < 3);
            let expected = match kind {
                0 | 2 => Json::Shared(Kept::bytes(long(text).into_bytes())),
                1 => Json::Shared(Kept::text(long(text))),
                _ => Json::Lone(std::sync::Arc::new(format!("[{LONE_BYTES}]"))),
            };
            prop_assert_eq!(lone.next(), Some(expected));
        }
        prop_assert_eq!(lone.next(), None);
    }
}
