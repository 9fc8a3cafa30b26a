//! Values that are only passed on: whatever their bytes, each is its own or null, and never another's.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::engine::base::error::CallError;
use crate::engine::base::text::Json;
use crate::engine::call::mend::mend;
use crate::engine::call::reply::Reply;
use crate::engine::call::splice;

/// What an attacker would write: pieces of JSON, of frames and of neither.
fn crafted() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\"",
        "\\",
        "\\\"",
        "\\u0022",
        "\\u005d",
        "\\u12",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "1",
        "-",
        ".5",
        "e",
        "01",
        "a",
        " ",
        "\n",
        "\0",
        "\u{1}",
        "null",
        "true",
        "NaN",
        "\"a\"",
        "\"a\":",
        "[1]",
        "{\"a\":1}",
        "],[",
        "],0,7,0,[",
        "\"__proto__\":",
        "é",
        "\u{2028}",
        "\u{feff}",
        "/*",
        "'",
    ]);
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat().into_bytes())
}

/// JSON with one byte changed, taken out or put in.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        r#"{"a":[1,2,{"b":"c\"d"}],"e":null}"#,
        r#"[[],{},"",0,-1.5e3,true,"\u00e9\\"]"#,
        r#""a string, with ]}[{ and \"quotes\"""#,
        r#"{"a":"0123456789012345678901234567890123456789012345678901234567890123456789","b":[{},[]]}"#,
    ]);
    let byte = prop_oneof![any::<u8>(), prop::sample::select(br#""\[]{},:0 "#.to_vec())];
    (text, any::<Index>(), byte, 0..3).prop_map(|(text, at, byte, how)| {
        let mut bytes = text.as_bytes().to_vec();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => _ = bytes.remove(at),
            _ => bytes.insert(at, byte),
        }
        bytes
    })
}

fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let value = prop_oneof![4 => crafted(), 4 => damaged(), 1 => prop::collection::vec(any::<u8>(), 0..12)];
    prop::collection::vec(value, 1..9)
}

/// What a frame of these values says of each: its value, or null where it is named as no JSON.
fn told(text: &str) -> Option<Vec<Value>> {
    let Value::Array(mut frames) = serde_json::from_str(text).ok()? else { return None };
    assert_eq!(frames.len(), 8, "two frames: {text}");
    assert_eq!(frames[4..6], [json!(9), json!(1)], "{text}");
    let Value::Array(replies) = frames[2].take() else { return None };
    Some(replies)
}

#[test]
fn what_is_no_json_is_null_and_named_beside_what_failed() {
    let value = |text: &str| Json::passing(text.into()).map_or(Reply::Miss, Reply::Value);
    let error = Reply::Error(CallError::new("ERR_X", "a],[b"));
    let replies = [value("[1,]"), error, value("[0,\"a\"]"), value("nul"), value("1,2"), Reply::Lead(7)];
    let mut text = String::from("[");
    splice::frame(&mut text, 3, 5, &replies, &mut Vec::new());
    text.push_str(r#",0,0,{"event":"a, b]"},0,4,0,[],0]"#);
    let mended = mend(&text).map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    let expected = json!([
        3, 5, [null, null, [0, "a"], null, null, [1, 7]], [[6, "ERR_X", "a],[b"], [5, 0], [8, 0]],
        0, 0, {"event": "a, b]"}, 0,
        4, 0, [], 0
    ]);
    assert_eq!(mended, Some(expected));
}

#[test]
fn replies_with_a_place_each_are_named_by_their_index_in_the_frame() {
    let value = |text: &str| Json::passing(text.into()).map_or(Reply::Miss, Reply::Value);
    let error = Reply::Error(CallError::new("ERR_X", "no"));
    let mut text = String::from("[");
    splice::some(&mut text, 3, &[4, 70], &[error, value("nul")], &mut Vec::new());
    text.push(']');
    assert_eq!(text, r#"[3,[4,70],[null,nul],[[0,"ERR_X","no"]]]"#);
    assert_eq!(mend(&text).as_deref(), Some(r#"[3,[4,70],[null,null],[[0,"ERR_X","no"],[1,0]]]"#));
}

#[test]
fn what_are_no_frames_is_not_mended() {
    for text in ["", "[]", "[", "1", "[1,2]", "[1,0,[1],0,2]", "[1,0,[x],0", "[x,0,[],0]"] {
        assert_eq!(mend(text), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_value_is_its_own_where_all_are_parsed_and_where_they_are_mended(values in values()) {
        let reply = |bytes: &Vec<u8>| Json::passing(bytes.clone()).map_or(Reply::Miss, Reply::Value);
        let replies: Vec<Reply> = values.iter().map(reply).collect();
        let mut text = String::from("[");
        splice::frame(&mut text, 7, 0, &replies, &mut Vec::new());
        text.push(',');
        splice::frame(&mut text, 9, 1, &[Reply::Value(Json::Owned("\"after\"".to_owned()))], &mut Vec::new());
        text.push(']');
        let alone: Vec<Value> = values.iter().map(|bytes| serde_json::from_slice(bytes).unwrap_or_default()).collect();
        let all_are_json = values.iter().zip(&replies).all(|(bytes, reply)| {
            *reply == Reply::Miss || serde_json::from_slice::<Value>(bytes).is_ok()
        });
        let parsed = told(&text);
        prop_assert_eq!(parsed.is_some(), all_are_json, "{}", &text);
        if let Some(parsed) = parsed {
            prop_assert_eq!(&parsed, &alone, "{}", &text);
        }
        let mended = mend(&text).expect("what is balanced can be mended");
        prop_assert_eq!(told(&mended), Some(alone), "{} {}", &text, mended);
    }
}

#[cfg(feature = "drive")]
#[test]
fn after_a_value_that_was_no_json_each_is_checked_for_a_minute() {
    let cache = crate::engine::tests::support::cache(None, "wary");
    let takes = |passing, now| cache.taking(passing, now)(b"nul".to_vec()).is_some();
    let now = cache.shared().clock.now_ms();
    assert!(takes(true, now) && !takes(false, now), "what is kept is checked");
    cache.misread(2);
    assert!(!takes(true, now) && !takes(true, now + 59_000) && takes(true, now + 120_000));
}
