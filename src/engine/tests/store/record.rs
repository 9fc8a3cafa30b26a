//! One entry as bytes.

use crate::engine::store::record::{self, Form, Life, UNIT, View};
use crate::engine::value::entry::Meta;
use crate::engine::value::tag_list::Tags;

#[test]
fn a_record_gives_back_what_was_written_whatever_its_lengths() {
    let token = "\"0123456789abcdef\"";
    let metas = [
        None,
        Some(Meta { nonce: u64::MAX, extra_ms: 60_000, delta_ms: u32::MAX, tags: Tags::default() }),
        Some(Meta { tags: Tags::new((0..255).map(|_| ("name", token))), ..Meta::default() }),
    ];
    let lives = [
        Life { deadline: u64::MAX, since: 0, stamp: 0, extra: 0 },
        Life { deadline: 5, since: 5, stamp: u64::MAX, extra: 0 },
        Life { deadline: (1 << 48) + 1, since: 1 << 48, stamp: 1 << 40, extra: 0 },
    ];
    for meta in &metas {
        for life in &lives {
            for (key, value) in [(1, 0), (127, 1), (128, 2), (300, 3_000)] {
                let (key, value) = ("k".repeat(key), "v".repeat(value));
                let mut out = Vec::new();
                assert!(record::write(&mut out, key.as_bytes(), life, meta.as_ref(), Form::Plain, value.as_bytes()));
                assert_eq!(out.len() % UNIT, 0);
                // What lies behind it is another's.
                let size = out.len();
                out.extend_from_slice(&[0xAA; 64]);
                let view = View::of(&out);
                let extra = meta.as_ref().map_or(0, |meta| meta.extra_ms);
                assert_eq!((view.size, view.key, view.value), (size, key.as_bytes(), value.as_bytes()));
                assert_eq!((view.life, view.form), (Life { extra, ..*life }, Form::Plain));
                assert_eq!(view.meta().as_deref(), meta.as_ref());
                assert!(record::is_of(&out, key.as_bytes()) && !record::is_of(&out, b"another"));
            }
        }
    }
}

#[test]
fn reads_are_counted_up_to_three_and_leave_the_rest_alone() {
    let life = Life { deadline: u64::MAX, since: 1, stamp: 2, extra: 0 };
    let mut out = Vec::new();
    record::write(&mut out, b"key", &life, None, Form::Packed, b"value!!");
    for reads in [1, 2, 3, 3] {
        record::note_read(&mut out[0]);
        assert_eq!((View::of(&out).reads(), View::of(&out).form), (reads, Form::Packed));
    }
    record::set_reads(&mut out[0], 1);
    assert_eq!((View::of(&out).reads(), View::of(&out).value), (1, &b"value!!"[..]));
    record::bury(&mut out[0]);
    assert!(View::of(&out).is_dead());
}

#[test]
fn a_record_longer_than_any_is_refused() {
    let life = Life { deadline: u64::MAX, since: 1, stamp: 2, extra: 0 };
    assert!(!record::write(&mut Vec::new(), b"key", &life, None, Form::Plain, &vec![b'x'; UNIT << 16]));
}
