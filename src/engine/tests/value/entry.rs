//! Stored entries: what others can read is plain, what cannot be read is refused, nothing is read as what it is not.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::engine::base::text::Json;
use crate::engine::value::codec::Room;
use crate::engine::value::entry::{self, Codec, Entry, Format, HEAD, MAX_TAGS, Meta};
use crate::engine::value::tag_list::{Tag, Tags};

const CODECS: [Codec; 4] = [Codec::Json, Codec::Structured, Codec::Raw, Codec::Text];

pub(super) fn format(codec: Codec) -> Format {
    Format { codec, compress_above: None, max_bytes: 1 << 20 }
}

fn packing(codec: Codec) -> Format {
    Format { compress_above: Some(64), ..format(codec) }
}

/// Bytes as they cross the bridge.
fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(bytes))
}

/// A payload of any codec but `json` as it crosses.
pub(super) fn crossing(codec: Codec, payload: &[u8]) -> String {
    if codec == Codec::Text {
        serde_json::json!(std::str::from_utf8(payload).unwrap()).to_string()
    } else {
        quoted(payload)
    }
}

fn read(format: Format, bytes: &[u8]) -> Option<String> {
    format.decode(bytes.to_vec(), &mut Room::default(), Json::checked).map(|entry| entry.json.as_str().to_owned())
}

fn tag(name: &str) -> Tag {
    Tag { name: name.into(), token: "\"00112233445566aa\"".into() }
}

pub(super) fn meta() -> Meta {
    Meta {
        nonce: 0x0123_4567_89AB_CDEF,
        extra_ms: 60_000,
        delta_ms: 250,
        tags: Tags::from(&[tag("user:1"), tag("é")][..]),
    }
}

/// A payload of any codec, long and regular enough to be worth compressing.
fn list() -> String {
    format!("[{}]", vec!["\"the same text\""; 40].join(","))
}

fn long(codec: Codec) -> String {
    if codec == Codec::Json { list() } else { crossing(codec, list().as_bytes()) }
}

#[test]
fn plain_values_lie_in_redis_as_other_clients_write_them() {
    let stored = format(Codec::Json).encode("{\"a\":1}", None);
    assert!(matches!(stored, Cow::Borrowed(b"{\"a\":1}")), "not even copied");
    assert_eq!(*format(Codec::Raw).encode(&quoted(b"hi\0"), None), *b"hi\0");
    assert_eq!(*format(Codec::Raw).encode("\"\"", None), *b"");

    assert_eq!(read(format(Codec::Json), b" [1] ").as_deref(), Some(" [1] "));
    assert_eq!(read(format(Codec::Raw), b"{\"a\":1}"), Some(quoted(b"{\"a\":1}")));
    assert_eq!(read(format(Codec::Raw), b"").as_deref(), Some("\"\""));
    let text = "naïve \"text\"\n";
    assert_eq!(*format(Codec::Text).encode(&crossing(Codec::Text, text.as_bytes()), None), *text.as_bytes());
    assert_eq!(read(format(Codec::Text), text.as_bytes()), Some(crossing(Codec::Text, text.as_bytes())));
    assert_eq!(read(format(Codec::Text), b"").as_deref(), Some("\"\""));
    // A meta that says nothing needs no header.
    assert_eq!(*format(Codec::Json).encode("1", Some(&Meta::default())), *b"1");
}

#[test]
fn raw_bytes_that_begin_like_a_header_or_a_lease_get_a_header() {
    for bytes in [&b"\xFF\x01\x02\x00x"[..], b"\xFF", b"\xFEholdfast:lease:"] {
        let text = quoted(bytes);
        let stored = format(Codec::Raw).encode(&text, None);
        assert_eq!(*stored, [b"\xFF\x01\x02\x00", bytes].concat());
        assert_eq!(read(format(Codec::Raw), &stored), Some(text.clone()));
    }
}

#[test]
fn integers_of_increment_stay_plain_under_every_codec() {
    for number in ["0", "-7", "9223372036854775807", "-9223372036854775808"] {
        for codec in CODECS {
            assert_eq!(*packing(codec).encode(number, None), *number.as_bytes(), "{codec:?}");
        }
        assert_eq!(read(format(Codec::Json), number.as_bytes()).as_deref(), Some(number));
        assert_eq!(read(format(Codec::Structured), number.as_bytes()).as_deref(), Some(number));
        for codec in [Codec::Raw, Codec::Text] {
            assert_eq!(read(format(codec), number.as_bytes()), Some(crossing(codec, number.as_bytes())));
        }
    }
}

#[test]
fn plain_bytes_are_no_structured_value_unless_they_are_an_integer() {
    for bytes in ["", "+1", "01", "-0", "1.0", "1e3", " 1", "1\n", "9223372036854775808", "null", "\"aGk=\"", "\u{661}"]
    {
        assert_eq!(read(format(Codec::Structured), bytes.as_bytes()), None, "{bytes:?}");
    }
    // The header of a value of v8.serialize.
    assert_eq!(read(format(Codec::Structured), b"\xFF\x0F\"\x02hi"), None);
}

#[test]
fn a_header_is_laid_out_as_the_essay_says() {
    let meta = Meta { nonce: 1, extra_ms: 2, delta_ms: 3, tags: Tags::new([("ab", "\"t\"")]) };
    let life = b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0";
    let tags = b"\x01\x02\0ab\x03\"t\"";
    let stored = format(Codec::Json).encode("[]", Some(&meta));
    assert_eq!(*stored, [b"\xFF\x01\x00\x06", &life[..], tags, b"[]"].concat());
    assert_eq!(*format(Codec::Structured).encode(&quoted(b"hi"), None), *b"\xFF\x01\x01\x00hi");

    let text = long(Codec::Json);
    let stored = packing(Codec::Json).encode(&text, Some(&meta));
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let front = [b"\xFF\x01\x00\x07", &life[..], &length, tags, b"\x28\xB5\x2F\xFD"].concat();
    assert_eq!(stored.get(..front.len()), Some(&*front));
}

#[test]
fn every_value_and_meta_comes_back() {
    let tags = prop::collection::vec((".{0,20}", "\"[0-9a-f]{16}\""), 0..4).prop_map(|tags| {
        tags.into_iter().map(|(name, token)| Tag { name: name.into(), token: token.into() }).collect::<Vec<_>>()
    });
    let small = || prop_oneof![Just(0), any::<u32>()];
    let meta =
        (prop_oneof![Just(0), any::<u64>()], small(), small(), tags).prop_map(|(nonce, extra, delta_ms, tags)| Meta {
            nonce,
            extra_ms: extra.into(),
            delta_ms,
            tags: Tags::from(&*tags),
        });
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0..3_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        prop::sample::select(vec![b"\xFF".to_vec(), b"\xFE".to_vec(), b"1".to_vec()]),
    ];
    let above = prop_oneof![Just(None), (0..300_usize).prop_map(Some)];
    let input = (bytes, prop::option::of(meta), above, prop::sample::select(CODECS.to_vec()));

    let mut runner = TestRunner::new(Config {
        cases: 2_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    });
    let result = runner.run(&input, |(bytes, meta, compress_above, codec)| {
        let format = Format { codec, compress_above, max_bytes: 4_000 };
        let text = match codec {
            Codec::Json => serde_json::json!(bytes).to_string(),
            Codec::Text => serde_json::json!(String::from_utf8_lossy(bytes.get(..1_000).unwrap_or(&bytes))).to_string(),
            Codec::Structured | Codec::Raw => quoted(&bytes),
        };
        let stored = format.encode(&text, meta.as_ref()).into_owned();
        let nonce = meta.as_ref().map_or(0, |meta| meta.nonce);
        prop_assert_eq!(entry::identity(&stored).is_some(), nonce != 0);
        let meta = meta.filter(|meta| *meta != Meta::default());
        prop_assert_eq!(&entry::meta_of(&stored).filter(|meta| *meta != Meta::default()), &meta);
        let meta = meta.map(Arc::new);
        let read = format.decode(stored, &mut Room::default(), Json::checked);
        prop_assert_eq!(read, Some(Entry { json: Json::of(text), meta }));
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_value_is_compressed_only_where_that_saves_an_eighth_and_it_can_be_read_back() {
    for codec in CODECS {
        let text = long(codec);
        let stored = packing(codec).encode(&text, None).into_owned();
        assert!(stored.len() < 100, "{codec:?}: {}", stored.len());
        assert_eq!(read(packing(codec), &stored), Some(text.clone()));
        assert_eq!(read(format(codec), &stored), Some(text), "whoever reads it need not compress");
    }
    let text = long(Codec::Json);
    let plain = text.as_bytes();
    let at = |compress_above, max_bytes| Format { codec: Codec::Json, compress_above, max_bytes };
    assert_eq!(*at(Some(plain.len()), 1 << 20).encode(&text, None), *plain, "not above the limit");
    assert_ne!(*at(Some(plain.len() - 1), 1 << 20).encode(&text, None), *plain);
    assert_eq!(*at(Some(64), plain.len() - 1).encode(&text, None), *plain, "too long to be read back compressed");
    assert_eq!(read(at(None, 10), plain), Some(text), "plain values are served at any length");

    let mut noise = 1_u32;
    let random: Vec<u8> = (0..4_096)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0] % 250
        })
        .collect();
    assert_eq!(*packing(Codec::Raw).encode(&quoted(&random), None), *random, "noise stays as it is");
}

#[test]
fn what_is_malformed_is_no_entry() {
    let bad: [(&str, &[u8]); 17] = [
        ("nothing", b""),
        ("a lease", b"\xFEholdfast:lease:0:0:1"),
        ("no header", b"\xFF"),
        ("version 0", b"\xFF\x00\x00\x00[]"),
        ("a later version", b"\xFF\x02\x00\x00[]"),
        ("an unknown codec", b"\xFF\x01\x04\x00[]"),
        ("an unknown flag", b"\xFF\x01\x00\x08[]"),
        ("no payload", b"\xFF\x01\x00\x00"),
        ("no JSON", b"\xFF\x01\x00\x00[1,"),
        ("two JSON texts", b"\xFF\x01\x00\x001,2"),
        ("no UTF-8", b"\xFF\x01\x00\x00\"\xFF\""),
        ("a header in a header", b"\xFF\x01\x00\x00\xFF\x01\x00\x00[]"),
        ("half a life", b"\xFF\x01\x00\x02\x01\x02\x03"),
        ("no frame", b"\xFF\x01\x00\x01\x02\0\0\0[]"),
        ("a name that is no UTF-8", b"\xFF\x01\x00\x04\x01\x01\0\xC3\x01t[]"),
        ("a token that is no UTF-8", b"\xFF\x01\x00\x04\x01\x01\0n\x01\x80[]"),
        ("fewer tags than counted", b"\xFF\x01\x00\x04\x02\x01\0n\x01t[]"),
    ];
    for (what, bytes) in bad {
        assert_eq!(read(format(Codec::Json), bytes), None, "{what}");
    }
    assert!(read(format(Codec::Json), b"\xFF\x01\x00\x04\x01\x01\0n\x01t[]").is_some());
    assert_eq!(read(format(Codec::Raw), b"\xFEholdfast:lease:0:0:1"), None);
    for bytes in [&b"a\xFF"[..], b"\x80", b"\xED\xA0\x80", b"\xC0\x80", b"\xFF\x01\x03\x00\xC3"] {
        assert_eq!(read(format(Codec::Text), bytes), None, "no UTF-8: {bytes:?}");
    }
}

#[test]
fn no_cache_reads_the_header_of_another_codec() {
    for (written, reading) in CODECS.into_iter().flat_map(|w| CODECS.map(|r| (w, r))).filter(|(w, r)| w != r) {
        for format in [format(written), packing(written)] {
            let stored = format.encode(&long(written), Some(&meta())).into_owned();
            assert_eq!(read(Format { codec: reading, ..format }, &stored), None, "{written:?} as {reading:?}");
        }
    }
}

#[test]
fn no_truncation_and_no_damaged_byte_is_read_as_what_it_is_not() {
    for codec in CODECS {
        for format in [format(codec), packing(codec)] {
            let stored = format.encode(&long(codec), Some(&meta())).into_owned();
            for end in 0..stored.len() {
                // Bytes with a whole header are checked by who deserializes them; nothing at all is a raw value.
                let payload = format.compress_above.is_none() && end >= stored.len() - list().len();
                let whole =
                    (codec != Codec::Json && payload) || (matches!(codec, Codec::Raw | Codec::Text) && end == 0);
                assert_eq!(read(format, stored.get(..end).unwrap()).is_some(), whole, "{codec:?} {end}");
            }
            for (at, byte) in
                (0..stored.len().min(160)).flat_map(|at| (0..=u8::MAX).step_by(5).map(move |byte| (at, byte)))
            {
                let mut damaged = stored.clone();
                let before = std::mem::replace(damaged.get_mut(at).unwrap(), byte);
                let Some(text) = read(format, &damaged) else { continue };
                if at == 0 && codec == Codec::Raw && byte != before {
                    assert_eq!(text, quoted(&damaged), "without its magic number all of it is plain");
                    continue;
                }
                assert!(at > 2 || byte == before, "{codec:?}: magic number, version and codec are checked");
                let valid = match codec {
                    Codec::Json | Codec::Text => serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(),
                    _ => text
                        .strip_prefix('"')
                        .and_then(|t| t.strip_suffix('"'))
                        .is_some_and(|t| STANDARD.decode(t).is_ok()),
                };
                assert!(valid, "{codec:?} {at} {byte}");
            }
        }
    }
}

#[test]
fn an_entry_is_known_by_its_first_bytes() {
    let stored = packing(Codec::Json).encode("[]", Some(&meta())).into_owned();
    assert_eq!(entry::identity(&stored), stored.get(..HEAD));
    assert_eq!(entry::identity(&stored).map(<[u8]>::len), Some(HEAD));
    for end in 0..HEAD {
        assert_eq!(entry::meta_of(stored.get(..end).unwrap()), None, "{end}");
        assert_eq!(entry::identity(stored.get(..end).unwrap()), None, "{end}");
    }
    let again = Meta { nonce: 2, ..meta() };
    assert_ne!(entry::identity(&format(Codec::Json).encode("[]", Some(&again))), entry::identity(&stored));

    let nameless = Meta { nonce: 0, ..meta() };
    let stored = format(Codec::Json).encode("[]", Some(&nameless)).into_owned();
    assert_eq!(entry::identity(&stored), None);
    assert_eq!(entry::meta_of(&stored).map(|meta| meta.extra_ms), Some(60_000));
    let tagged = Meta { tags: Tags::from(&[tag("a")][..]), ..Meta::default() };
    for bytes in
        [&b"{\"a\":\"a text that is longer than a header\"}"[..], b"\xFEa lease that is longer than a header", b""]
    {
        assert_eq!((entry::identity(bytes), entry::meta_of(bytes)), (None, None));
    }
    let tags_only = entry::meta_of(&format(Codec::Json).encode("1", Some(&tagged)));
    assert_eq!(tags_only.map(|meta| meta.extra_ms), Some(0));
}

#[test]
fn as_many_tags_as_fit_come_back_and_an_entry_with_more_cannot_be_read() {
    let with = |tags: Vec<Tag>| {
        let meta = Meta { nonce: 1, tags: Tags::from(&*tags), ..Meta::default() };
        let stored = format(Codec::Raw).encode(&quoted(b"hi"), Some(&meta)).into_owned();
        let read = format(Codec::Raw).decode(stored, &mut Room::default(), Json::checked);
        read.and_then(|entry| entry.meta).map(|meta| meta.tags.len())
    };
    assert_eq!(with(vec![tag("a"); MAX_TAGS]), Some(MAX_TAGS));
    assert_eq!(with(vec![tag("a"); MAX_TAGS + 1]), None);
    assert_eq!(with(vec![tag(&"a".repeat(65_535))]), Some(1));
    assert_eq!(with(vec![tag(&"a".repeat(65_536))]), None);
    assert_eq!(with(vec![Tag { name: "a".into(), token: "t".repeat(256).into() }]), None);
}
