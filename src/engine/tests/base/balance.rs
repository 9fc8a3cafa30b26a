//! What is balanced: the scan of many bytes at a time finds what a scan byte by byte finds, and nothing that is JSON is
//! left out.

use proptest::prelude::*;

use crate::engine::base::balance::{is_balanced, parts};
use crate::engine::base::text::is_json;

/// The definition, one byte after another.
fn is_balanced_by_bytes(text: &str) -> bool {
    let (mut depth, mut open, mut escaped, mut blank) = (0_i64, false, false, true);
    for byte in text.bytes() {
        blank &= byte <= b' ';
        let quote = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        open ^= quote;
        if open {
            continue;
        }
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !open && !blank
}

/// Texts of what a scan may get wrong, from a few bytes to several blocks.
fn texts() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec![
        "\"",
        "\\",
        "\\\\",
        "\\\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "1",
        "a",
        " ",
        "\n",
        "\"a\"",
        "[1]",
        "{\"a\":1}",
        "é",
        "\u{2028}",
        "\0",
        "|",
        "^",
        ";",
        "<",
        "\u{7f}",
    ]);
    let long = (0_usize..70).prop_map(|length| "x".repeat(length));
    let run = (0_usize..70).prop_map(|length| "\\".repeat(length));
    let piece = prop_oneof![8 => one.prop_map(str::to_owned), 1 => long, 1 => run];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// The same within brackets or a string, which more of them leave balanced.
fn wrapped() -> impl Strategy<Value = String> {
    (texts(), 0_usize..4).prop_map(|(text, how)| match how {
        0 => text,
        1 => format!("[{text}]"),
        2 => format!("\"{text}\""),
        _ => format!("{{\"a\":\"{}\",\"b\":[{}]}}", text.replace('"', "\\\""), text.replace(['"', '\\'], "")),
    })
}

#[test]
fn what_reaches_beyond_itself_is_not_balanced() {
    for bad in
        ["", " \n", "1,2", "\"a", "a\"", "]", "[", "1],[2", "{\"a\":1}}", "\"\\\"", "[\"]", ",", "[],", "{\"a\":[}"]
    {
        assert!(!is_balanced(bad), "{bad}");
    }
    for good in ["1 2", "nul", "[1,]", "[}", "\"]\"", "\"\\\\\"", "{},{}".trim_end_matches(",{}"), "\u{feff}1", ":"] {
        assert!(is_balanced(good), "{good}");
    }
}

#[test]
fn a_string_is_seen_across_blocks_wherever_it_begins_and_ends() {
    for before in 0..140 {
        for escape in ["", "\\\\", "\\\"", "\\\\\\\"", "]", ","] {
            let text = format!("{}\"{escape}\"", " ".repeat(before));
            assert!(is_balanced(&text) && is_json(&text), "{text}");
            assert!(!is_balanced(&text[..text.len() - 1]), "{text}");
            assert!(!is_balanced(&format!("{text},1")), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_by_blocks_finds_what_the_scan_by_bytes_finds(text in wrapped()) {
        prop_assert_eq!(is_balanced(&text), is_balanced_by_bytes(&text));
        prop_assert!(is_balanced(&text) || !is_json(&text), "JSON is balanced");
    }

    #[test]
    fn balanced_texts_between_commas_are_found_again(texts in prop::collection::vec(wrapped(), 1..8)) {
        let balanced: Vec<String> = texts.into_iter().filter(|text| is_balanced(text)).collect();
        let joined = balanced.join(",");
        prop_assert!(balanced.is_empty() || parts(&joined).eq(balanced.iter().map(String::as_str)));
    }
}
