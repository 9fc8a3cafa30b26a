//! Leaves: the text is the value's, whatever its names and strings hold; and numbers of anybody make no panic.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Span;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::leaves::{Leaves, Shapes, Strings, write};

const STRING: f64 = f64::INFINITY;
const OTHER: f64 = f64::NEG_INFINITY;

/// Takes a value apart as src/js/value/leaves.js does.
fn take(value: &Value, shapes: &Shapes, numbers: &mut Vec<f64>, strings: &mut String) {
    match value {
        Value::Null => numbers.push(f64::NAN),
        Value::Bool(true) => numbers.extend([STRING, -1.0]),
        Value::Bool(false) => numbers.extend([STRING, -2.0]),
        Value::Number(n) => numbers.push(n.as_f64().expect("a number")),
        Value::String(text) => {
            numbers.extend([STRING, text.encode_utf16().count() as f64]);
            strings.push_str(text);
        }
        Value::Array(list) => {
            numbers.extend([OTHER, -1.0 - list.len() as f64]);
            list.iter().for_each(|element| take(element, shapes, numbers, strings));
        }
        Value::Object(object) => {
            let names: Vec<String> = object.keys().map(|name| Value::from(name.as_str()).to_string()).collect();
            numbers.extend([OTHER, f64::from(shapes.number(&names.join("\n")).expect("a shape"))]);
            object.values().for_each(|value| take(value, shapes, numbers, strings));
        }
    }
}

fn written(value: &Value) -> String {
    let (shapes, mut numbers, mut strings) = (Shapes::default(), Vec::new(), String::new());
    take(value, &shapes, &mut numbers, &mut strings);
    let wide: Vec<u16> = strings.encode_utf16().collect();
    let mut out = String::new();
    write(&mut out, Strings::Utf16(&wide), &numbers, &shapes).expect("a value");
    if strings.is_ascii() {
        let mut other = String::new();
        write(&mut other, Strings::Ascii(&strings), &numbers, &shapes).expect("a value");
        assert_eq!(other, out);
    }
    out
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        // Halves, which serde_json reads exactly.
        (-1_000_000_000_000_i64..1_000_000_000_000).prop_map(|n| json!(n as f64 / 2.0)),
        "[ -~]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Numbers as floats, which is what JavaScript has.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(n) => json!(n.as_f64()),
        Value::Array(list) => list.into_iter().map(floats).collect(),
        Value::Object(object) => Value::Object(object.into_iter().map(|(name, value)| (name, floats(value))).collect()),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_is_the_values(value in value()) {
        let parsed: Value = serde_json::from_str(&written(&value)).expect("one JSON text");
        prop_assert_eq!(floats(parsed), floats(value));
    }

    #[test]
    fn a_number_is_printed_so_that_it_is_read_again(n in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let mut out = String::new();
        write(&mut out, Strings::Ascii(""), &[n], &Shapes::default());
        prop_assert_eq!(out.parse::<f64>(), Ok(n));
    }

    #[test]
    fn numbers_of_anybody_make_a_json_text_or_none(
        numbers in prop::collection::vec(
            prop_oneof![
                Just(STRING),
                Just(OTHER),
                Just(f64::NAN),
                -9.0..9.0,
                (-9_i32..9).prop_map(f64::from),
                any::<f64>(),
            ],
            0..40,
        ),
        strings in any::<String>(),
    ) {
        let shapes = Shapes::default();
        for names in ["", "\"a\"", "\"a\"\n\"b\""] {
            shapes.number(names);
        }
        let wide: Vec<u16> = strings.encode_utf16().collect();
        for strings in [Strings::Ascii("plain \"text\""), Strings::Utf16(&wide)] {
            let mut out = String::new();
            if write(&mut out, strings, &numbers, &shapes).is_some() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&out).is_ok(), "{}", out);
            }
        }
    }
}

#[test]
fn numbers_are_printed_as_javascript_prints_them() {
    for (n, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (-7.0, "-7"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.5e-7, "-1.5e-7"),
        (999_999_999_999_999.0, "999999999999999"),
        (1e15, "1000000000000000"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
    ] {
        let mut out = String::new();
        write(&mut out, Strings::Ascii(""), &[n], &Shapes::default()).expect("a number");
        assert_eq!(out, text);
    }
}

#[test]
fn half_a_surrogate_pair_stays_an_escape() {
    let mut out = String::new();
    write(&mut out, Strings::Utf16(&[0xd83d, 0xde00, 0xd83d, 0x61, 0xde00]), &[STRING, 5.0], &Shapes::default());
    assert_eq!(out, "\"\u{1f600}\\ud83da\\ude00\"");
}

#[test]
fn a_shape_has_one_number_and_there_is_a_bound() {
    let shapes = Shapes::default();
    assert_eq!(shapes.number("\"a\""), Some(0));
    assert_eq!(shapes.number("\"a\"\n\"b\""), Some(1));
    assert_eq!(shapes.number("\"a\""), Some(0));
    let more = (0..10_000).filter(|i| shapes.number(&format!("\"n{i}\"")).is_some()).count();
    assert!((1_000..10_000).contains(&more), "{more} more");
    assert_eq!(shapes.number("\"a\"\n\"b\""), Some(1), "what is known stays");
    let long = Shapes::default();
    let kept = (0..100).filter(|i| long.number(&format!("\"{i}{}\"", "x".repeat(50_000))).is_some()).count();
    assert!((10..100).contains(&kept), "{kept} kept");
}

/// A batch of sets: `None` where the value is a text already.
fn batch(text: &str, values: &[Option<(Span, Vec<f64>)>]) -> Batch {
    let mut leaves = Leaves::new(Arc::default());
    let ops = values.iter().enumerate().map(|(i, value)| {
        let span = value.as_ref().map_or(Span { start: 0, end: 1 }, |(strings, numbers)| {
            leaves.push(i, *strings, numbers);
            Span::default()
        });
        Op::Set { key: Span { start: 0, end: 1 }, value: span, ttl: Ttl::Forever, more: None }
    });
    let ops = ops.collect();
    Batch { text: text.to_owned(), ops, leaves: Some(leaves), ..Batch::default() }
}

#[test]
fn each_operation_gets_its_own_text_and_keeps_its_key() {
    let first = (Span { start: 1, end: 3 }, vec![OTHER, -3.0, STRING, 2.0, 7.5]);
    let third = (Span { start: 3, end: 4 }, vec![STRING, 1.0]);
    let mut batch = batch("kab\"", &[Some(first), None, Some(third)]);
    batch.render();
    let texts: Vec<&str> = batch
        .ops
        .iter()
        .map(|op| match op {
            Op::Set { key, value, .. } if batch.str(*key) == "k" => batch.str(*value),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["[\"ab\",7.5]", "k", "\"\\\"\""]);
    let before = batch.text.clone();
    batch.render();
    assert_eq!(batch.text, before, "once is enough");
}

#[test]
fn leaves_that_make_no_value_are_not_stored_and_their_neighbours_are() {
    let broken = (Span { start: 1, end: 2 }, vec![STRING, 9.0]);
    let right = (Span { start: 1, end: 2 }, vec![STRING, 1.0]);
    let mut batch = batch("ka", &[Some(broken), Some(right)]);
    batch.render();
    assert_eq!(batch.ops[0], Op::Malformed);
    assert!(matches!(batch.ops[1], Op::Set { value, .. } if batch.str(value) == "\"a\""));
}

#[test]
fn values_deeper_than_javascript_sends_are_none() {
    let nested = |depth: usize| {
        let numbers: Vec<f64> = std::iter::repeat_n([OTHER, -2.0], depth).flatten().chain([f64::NAN]).collect();
        let mut out = String::new();
        write(&mut out, Strings::Ascii(""), &numbers, &Shapes::default()).map(|()| out)
    };
    assert_eq!(nested(100), Some(format!("{}null{}", "[".repeat(100), "]".repeat(100))));
    assert_eq!(nested(100_000), None);
}
