//! What many compressed entries expand to in one batch is bounded, and bounds nothing that expands as data does.

use crate::engine::entry::{Codec, Format, Room};

const MIB: usize = 1 << 20;

fn format() -> Format {
    Format { codec: Codec::Json, compress_above: Some(64), max_bytes: 128 * MIB }
}

/// What lies in Redis for a text of so many bytes, each the same.
fn bomb(length: usize) -> Vec<u8> {
    let stored = format().encode(&format!("\"{}\"", "x".repeat(length - 2)), None).into_owned();
    assert!(stored.len() * 1_000 < length, "it is a bomb");
    stored
}

fn reads(stored: &[u8], room: &mut Room) -> bool {
    format().decode(stored.to_vec(), room).is_some()
}

#[test]
fn bombs_of_one_batch_share_its_room() {
    let stored = bomb(30 * MIB);
    let mut room = Room::default();
    let read = (0..4).filter(|_| reads(&stored, &mut room)).count();
    assert_eq!(read, 2, "of 64 MiB");
    assert!(reads(&stored, &mut Room::default()), "the next batch has room of its own");
}

#[test]
fn a_lone_value_may_expand_to_the_bound_of_one() {
    let mut room = Room::default();
    assert!(reads(&bomb(100 * MIB), &mut room));
    assert!(!reads(&bomb(MIB), &mut room), "nothing is left for others");
    let plain = format().encode("[1,2,3]", None).into_owned();
    assert!(reads(&plain, &mut room), "what is not compressed needs none");
}

#[test]
fn data_that_compresses_as_data_does_needs_no_room() {
    // Numbers in no order: a third of their text.
    let mut text = String::from("[0");
    let mut n: u32 = 1;
    while text.len() < MIB {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(&format!(",{}", n >> 8));
    }
    text.push(']');
    let stored = format().encode(&text, None).into_owned();
    assert!(stored.len() * 3 / 2 < text.len(), "it is compressed");
    let mut room = Room::default();
    assert!((0..20).all(|_| reads(&stored, &mut room)));
    assert!(reads(&bomb(60 * MIB), &mut room), "all of it is left");
}
