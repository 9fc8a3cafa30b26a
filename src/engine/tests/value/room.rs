//! What compressed entries expand to is bounded, one by one and together, and bounds nothing that expands as data does.

use crate::engine::base::text::Json;
use crate::engine::value::codec::Room;
use crate::engine::value::entry::{Codec, Format};

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

fn read(format: Format, bytes: &[u8]) -> Option<String> {
    format.decode(bytes.to_vec(), &mut Room::default(), Json::checked).map(|entry| entry.json.as_str().to_owned())
}

fn small() -> Format {
    Format { codec: Codec::Json, compress_above: None, max_bytes: MIB }
}

fn reads(stored: &[u8], room: &mut Room) -> bool {
    format().decode(stored.to_vec(), room, Json::checked).is_some()
}

/// A frame that expands to `blocks` × 128 KiB of one byte, and asks for a window of 2^`window_log` bytes.
fn frame(blocks: u32, window_log: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, (window_log - 10) << 3];
    for i in 1..=blocks {
        let header = u32::from(i == blocks) | 1 << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'1');
    }
    frame
}

/// An entry of the JSON codec whose header claims that `packed` expands to `length` bytes.
fn claiming(length: u32, packed: &[u8]) -> Vec<u8> {
    [&[0xFF, 1, 0, 1], &length.to_le_bytes()[..], packed].concat()
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

#[test]
fn a_bomb_is_refused_before_it_fills_the_memory() {
    // The most that this process ever filled, in MiB, where the system tells.
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    };
    let gigabyte = frame(8 << 10, 20);
    assert!(gigabyte.len() < 40 << 10);
    let before = peak();
    for length in [0, 1, 128 << 10, 1 << 20, (1 << 20) + 1, 1 << 30, u32::MAX] {
        assert_eq!(read(small(), &claiming(length, &gigabyte)), None, "{length}");
    }
    let large = Format { max_bytes: usize::MAX, ..small() };
    assert_eq!(read(large, &claiming(u32::MAX, &frame(1, 20))), None, "much is claimed by a few bytes");
    assert!(read(large, &claiming(128 << 10, &frame(1, 30))).is_some(), "a window of 1 GiB is asked for, and not made");
    assert!(peak() - before < 256, "{} MiB", peak() - before);
}

#[test]
fn a_length_that_is_not_exact_is_refused() {
    let packed = zstd::bulk::compress(b"[1,2,3]", 3).unwrap();
    assert_eq!(read(small(), &claiming(7, &packed)).as_deref(), Some("[1,2,3]"));
    for length in [0, 6, 8, u32::MAX] {
        assert_eq!(read(small(), &claiming(length, &packed)), None, "{length}");
    }
    assert_eq!(read(small(), &claiming(7, &[&packed[..], b"x"].concat())), None, "bytes behind the frame");
    assert_eq!(read(small(), &claiming(0, b"")), None, "nothing is no JSON");
    let exact = Format { max_bytes: 7, ..small() };
    assert_eq!(read(exact, &claiming(7, &packed)).as_deref(), Some("[1,2,3]"));
    assert_eq!(read(Format { max_bytes: 6, ..exact }, &claiming(7, &packed)), None);
}
