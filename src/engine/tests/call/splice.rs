//! Splicing: whatever bytes lie in Redis, the text is one JSON text and each reply stands in its own place.

use proptest::prelude::*;

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::CallError;
use crate::engine::base::text::{Json, LONE_BYTES};
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
    assert_eq!(lone.iter().map(|text| text.as_str()).collect::<Vec<_>>(), [long("["), long("]")]);
    assert_eq!(Json::checked(long("[").into()), None);
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
}
