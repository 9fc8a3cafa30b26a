//! Long values, which are whole on the bridge: what lies in Redis is the same.

use crate::engine::base::text::{Json, Kept, MOST_WITHIN};
use crate::engine::tests::value::entry::{crossing, format, meta};
use crate::engine::value::codec::Room;
use crate::engine::value::entry::{Codec, Format};

#[test]
fn a_value_longer_than_the_window_of_its_compression_comes_back() {
    let value = Kept::bytes((0..4_000_000_u32).flat_map(u32::to_le_bytes).collect());
    let format = Format { codec: Codec::Raw, compress_above: Some(1_024), max_bytes: 64 << 20 };
    let stored = format.encode(&value, None).into_owned();
    assert!(stored.len() < 14_000_000, "{}", stored.len());
    let read = format.decode(stored, &mut Room::default(), Json::checked);
    assert!(read.is_some_and(|entry| entry.json == Json::Shared(value)));
}

#[test]
fn a_value_is_whole_from_a_length_on_and_lies_in_redis_as_a_shorter_one_does() {
    for length in [MOST_WITHIN, MOST_WITHIN + 1] {
        let text = "a".repeat(length);
        for codec in [Codec::Structured, Codec::Raw, Codec::Text] {
            let within = crossing(codec, text.as_bytes());
            let stored = format(codec).encode(&within, Some(&meta())).into_owned();
            let read = |bytes: &[u8]| format(codec).decode(bytes.to_vec(), &mut Room::default(), Json::checked);
            let json = read(&stored).unwrap().json;
            if length == MOST_WITHIN {
                assert_eq!(json.as_str(), within);
            } else if codec == Codec::Text {
                assert_eq!(json, Json::Shared(Kept::text(text.clone())));
            } else {
                assert_eq!(json, Json::Shared(Kept::bytes(text.clone().into_bytes())));
            }
            assert_eq!(*format(codec).encode(json.given(), Some(&meta())), *stored);
            assert_eq!(codec.integer(json.as_str()), None);
        }
    }
    let broken = [&[b'a'; MOST_WITHIN][..], b"\x80"].concat();
    assert_eq!(format(Codec::Text).decode(broken, &mut Room::default(), Json::checked), None);
}
