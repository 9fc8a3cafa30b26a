//! Names that a store holds once: what is packed comes out as it went in.

use proptest::prelude::*;

use crate::engine::store::Hasher;
use crate::engine::store::names::Names;

/// Packs a text some times, so that its names have codes; what it takes at last, where it is packed.
fn packed(names: &mut Names, hasher: &Hasher, text: &str) -> Option<usize> {
    let mut last = None;
    for _ in 0..6 {
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        last = names.pack(text.as_bytes(), hasher, &mut packed).then_some(packed.len());
        if last.is_some() {
            names.unpack(&packed, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
    last
}

#[test]
fn the_names_of_an_object_take_two_bytes_each_once_they_came_often() {
    let (mut names, hasher) = (Names::new(1 << 20), Hasher::default());
    let text =
        r#"{"tenant":7,"period":"week","rows":[{"day":"2026-11-01","open":true},{"day":"x","open":null}],"n":{}}"#;
    // {"tenant": 7 ,"period":" week ","rows":[{"day":" 2026-11-01 ","open": true },{"day":" x ","open": null }],"n":{}}
    assert_eq!(packed(&mut names, &hasher, text), Some(2 + 1 + 2 + 4 + 2 + 10 + 2 + 4 + 2 + 1 + 2 + 4 + 2));
    assert!(names.weight() > 0);
    names.reset();
    assert_eq!(names.weight(), 0);
}

#[test]
fn what_has_no_names_and_what_has_bytes_of_codes_is_left_alone() {
    let (mut names, hasher) = (Names::new(1 << 20), Hasher::default());
    packed(&mut names, &hasher, r#"{"first":1,"second":2}"#);
    for text in ["[1,2,3]", "\"text\"", "", "{\"first\":\"\u{e}\u{0}\"}", "{\"fir\u{1f}st\":1}"] {
        assert_eq!(packed(&mut names, &hasher, text), None, "{text:?}");
    }
}

#[test]
fn names_that_never_come_again_get_no_codes_and_the_room_is_bounded() {
    let (mut names, hasher) = (Names::new(64 << 10), Hasher::default());
    for i in 0..20_000 {
        let mut out = Vec::new();
        assert!(!names.pack(format!(r#"{{"user:{i}":1}}"#).as_bytes(), &hasher, &mut out), "{i}");
    }
    for i in 0..4_000 {
        packed(&mut names, &hasher, &format!(r#"{{"user:{i}":1}}"#));
        assert!(names.weight() <= 64 << 10, "{} after {i}", names.weight());
    }
}

proptest! {
    #[test]
    fn any_text_comes_out_as_it_went_in(texts in prop::collection::vec("[{}\\[\\],:\"\\\\a\u{e}\u{1f}ü \n1]{0,40}", 1..40)) {
        let (mut names, hasher) = (Names::new(1 << 20), Hasher::default());
        for text in &texts {
            packed(&mut names, &hasher, text);
        }
        // And with the codes of all others.
        for text in &texts {
            packed(&mut names, &hasher, text);
        }
    }
}
