//! The engine's own steps, one at a time, without Node and without Redis: what a change to one of them costs.
//!
//! `cargo bench --no-default-features`; `-- near` for some of them. Time is of the median sample; allocations are
//! counted beside it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use holdfast::engine::base::clock::{Clock, Ttl};
use holdfast::engine::base::key::Prefix;
use holdfast::engine::base::text::{Json, Span};
use holdfast::engine::call::batch::{Batch, Op};
use holdfast::engine::call::leaves::{Leaves, Shapes};
use holdfast::engine::call::reply::Reply;
use holdfast::engine::call::sink::{CLOCKS, SLOTS, Versions};
use holdfast::engine::call::{splice, vouched};
use holdfast::engine::tier::budget::Budget;
use holdfast::engine::tier::journal::Journal;
use holdfast::engine::tier::near::Near;
use holdfast::engine::value::codec::Codec;
use holdfast::engine::value::codec::Room;
use holdfast::engine::value::entry::{Format, Meta};
use holdfast::engine::value::tag_list::Tags;

// The addon has an allocator of its own; the pure engine leaves the choice to us.
#[cfg(not(feature = "node"))]
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

const KEYS: usize = 10_000;
/// The calls of one native call at most; see src/js/bridge/channel.js.
const BATCH: usize = 256;
const SIZES: [usize; 3] = [20, 200, 20_000];
const TTL: Ttl = Ttl::Millis(300_000);
const AGE: u64 = 300_000;

fn main() {
    divan::main();
}

fn key(i: usize) -> String {
    format!("bench:performance:tenant-{}", 1000 + i)
}

/// A JSON text of exactly so many bytes, with numbers, names and a string.
fn json(bytes: usize) -> String {
    let row = r#"{"period":"week","trades":40007,"winRate":0.525,"open":true},"#;
    let rows = (bytes.saturating_sub(20) / row.len()).min(bytes / row.len());
    let mut text = format!(r#"{{"r":[{}0],"n":""#, row.repeat(rows));
    text.push_str(&"x".repeat(bytes.saturating_sub(text.len() + 2)));
    text.push_str("\"}");
    text
}

/// The counters of one environment.
struct Counters(Vec<AtomicI32>);

impl Versions for Counters {
    fn counters(&self) -> &[AtomicI32] {
        &self.0
    }
}

/// A near cache that holds `KEYS` entries of so many bytes, and one environment that listens.
fn near(bytes: usize) -> (Near, Vec<String>) {
    let near = Near::new(&Arc::new(Budget::new(1 << 30)), &vouched::Clock::new(0), &Arc::default());
    near.arm(u64::MAX, 0);
    near.share(Arc::new(Counters((0..SLOTS + CLOCKS).map(|_| AtomicI32::new(0)).collect())));
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let value = json(bytes);
    for key in &keys {
        fill(&near, key, &value);
    }
    (near, keys)
}

fn fill(near: &Near, key: &str, value: &str) {
    if let Some(ticket) = near.reserve(key) {
        near.fill(key, ticket, value, None, TTL, Clock::System.now_ms());
    }
}

/// Calls `step` with one key after another, in an order that is not that of memory.
fn each_key(bencher: Bencher, keys: &[String], step: impl Fn(&str)) {
    let mut i = 0;
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        i = (i + 7919) % keys.len();
        step(&keys[i]);
    });
}

#[divan::bench(args = SIZES)]
fn near_hit(bencher: Bencher, bytes: usize) {
    let (near, keys) = near(bytes);
    let now = Clock::System.now_ms();
    each_key(bencher, &keys, |key| {
        black_box(near.get(key, AGE, now));
    });
}

#[divan::bench]
fn near_miss(bencher: Bencher) {
    let (near, _) = near(20);
    let strangers: Vec<String> = (KEYS..2 * KEYS).map(key).collect();
    let now = Clock::System.now_ms();
    each_key(bencher, &strangers, |key| {
        black_box(near.get(key, AGE, now));
    });
}

/// A placeholder, and the reply that fills it.
#[divan::bench(args = SIZES)]
fn near_fill(bencher: Bencher, bytes: usize) {
    let (near, keys) = near(bytes);
    let value = json(bytes);
    each_key(bencher, &keys, |key| fill(&near, key, &value));
}

/// Of keys that are held: each is filled again, which is in the time; subtract `near_fill`.
#[divan::bench]
fn near_fill_and_invalidate(bencher: Bencher) {
    let (near, keys) = near(200);
    let value = json(200);
    each_key(bencher, &keys, |key| {
        fill(&near, key, &value);
        near.invalidate(key);
    });
}

/// Of keys that are not held: what each push of a stranger costs.
#[divan::bench]
fn near_invalidate_unheld(bencher: Bencher) {
    let (near, _) = near(20);
    let strangers: Vec<String> = (KEYS..2 * KEYS).map(key).collect();
    each_key(bencher, &strangers, |key| near.invalidate(key));
}

fn format(compress_above: Option<usize>) -> Format {
    Format { codec: Codec::Json, compress_above, max_bytes: 32 << 20 }
}

fn tagged() -> Meta {
    const TOKEN: &str = r#""0123456789abcdef""#;
    Meta { nonce: 7, extra_ms: 60_000, delta_ms: 12, tags: Tags::new([("product:7", TOKEN), ("tenant:1", TOKEN)]) }
}

fn encode_as(bencher: Bencher, bytes: usize, format: Format, meta: Option<Meta>) {
    let text = json(bytes);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| black_box(format.encode(black_box(&text), meta.as_ref()).len()));
}

fn decode_as(
    bencher: Bencher,
    bytes: usize,
    format: Format,
    meta: Option<Meta>,
    json_text: fn(Vec<u8>) -> Option<Json>,
) {
    let text = json(bytes);
    let stored = format.encode(&text, meta.as_ref()).into_owned();
    bencher
        .counter(BytesCount::of_str(&text))
        .with_inputs(|| stored.clone())
        .bench_local_values(|bytes| black_box(format.decode(bytes, &mut Room::default(), json_text)));
}

#[divan::bench(args = SIZES)]
fn encode_plain(bencher: Bencher, bytes: usize) {
    encode_as(bencher, bytes, format(None), None);
}

#[divan::bench(args = SIZES)]
fn encode_tagged(bencher: Bencher, bytes: usize) {
    encode_as(bencher, bytes, format(None), Some(tagged()));
}

#[divan::bench]
fn encode_zstd(bencher: Bencher) {
    encode_as(bencher, 20_000, format(Some(1024)), None);
}

/// The check that a text is one JSON text is most of it.
#[divan::bench(args = SIZES)]
fn decode_plain(bencher: Bencher, bytes: usize) {
    decode_as(bencher, bytes, format(None), None, Json::checked);
}

/// As it is passed on: the scan that it is balanced, up to the length beyond which it is parsed alone.
#[divan::bench(args = [20, 200, 2_000, 20_000])]
fn decode_passing(bencher: Bencher, bytes: usize) {
    decode_as(bencher, bytes, format(None), None, Json::passing);
}

#[divan::bench(args = SIZES)]
fn decode_tagged(bencher: Bencher, bytes: usize) {
    decode_as(bencher, bytes, format(None), Some(tagged()), Json::checked);
}

#[divan::bench]
fn decode_zstd(bencher: Bencher) {
    decode_as(bencher, 20_000, format(Some(1024)), None, Json::checked);
}

/// The JSON texts of a batch of sets, each an object of eight names: 200 bytes, with five fractions.
#[divan::bench]
fn leaves_render(bencher: Bencher) {
    const STRING: f64 = f64::INFINITY;
    const OTHER: f64 = f64::NEG_INFINITY;
    let names = ["tenant", "period", "trades", "winRate", "drawdown", "percentiles", "open", "note"];
    let shapes = Arc::new(Shapes::default());
    let shape = shapes.number(&names.map(|name| format!("\"{name}\"")).join("\n")).map_or(0.0, f64::from);
    let numbers = [
        [OTHER, shape, 1007.0, STRING, 4.0, 40049.0, 0.50175, -1235.375].as_slice(),
        &[OTHER, -4.0, 7.25, 8.5, 10.75, STRING, -1.0, STRING, 62.0],
    ]
    .concat();
    let strings = format!("week{}", "x".repeat(62));
    let span = Span { start: 0, end: 66 };
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            let mut leaves = Leaves::new(shapes.clone());
            (0..BATCH).for_each(|op| leaves.push(op, span, &numbers));
            let set = Op::Set { key: span, value: Span::default(), ttl: TTL, more: None };
            Batch { text: strings.clone(), ops: vec![set; BATCH], leaves: Some(leaves), ..Batch::default() }
        })
        .bench_local_values(|mut batch| {
            batch.render();
            batch
        });
}

/// The replies of one batch as one text.
#[divan::bench(args = SIZES)]
fn splice_values(bencher: Bencher, bytes: usize) {
    let value = Json::Shared(json(bytes).as_str().into());
    let replies: Vec<Reply> = (0..BATCH).map(|_| Reply::Value(value.clone())).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let mut out = String::new();
        splice::frame(&mut out, 7, 0, black_box(&replies), &mut Vec::new());
        out
    });
}

#[divan::bench]
fn splice_done(bencher: Bencher) {
    let replies: Vec<Reply> = (0..BATCH).map(|_| Reply::Done).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let mut out = String::new();
        splice::frame(&mut out, 7, 0, black_box(&replies), &mut Vec::new());
        out
    });
}

/// Keys that an outage leaves to be undone, noted in a journal that has them already: an outage writes the same ones
/// again and again.
#[divan::bench]
fn journal_note_again(bencher: Bencher) {
    let (journal, prefix) = (Journal::default(), Prefix::new("bench"));
    let keys: Vec<String> = (0..KEYS).map(|i| format!("bench:{}", key(i))).collect();
    for key in &keys {
        let _ = journal.note(&prefix, key);
    }
    each_key(bencher, &keys, |key| {
        let _ = black_box(journal.note(&prefix, key));
    });
}

/// Noted, and taken out again to be unlinked.
#[divan::bench]
fn journal_note_and_take(bencher: Bencher) {
    let prefix = Prefix::new("bench");
    let keys: Vec<String> = (0..KEYS).map(|i| format!("bench:{}", key(i))).collect();
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        let journal = Journal::default();
        for key in &keys {
            let _ = journal.note(&prefix, key);
        }
        while !journal.is_empty() {
            black_box(journal.take_keys(1000));
        }
    });
}

/// What each read asks while there is no outage.
#[divan::bench]
fn journal_holds_nothing(bencher: Bencher) {
    let journal = Journal::default();
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    each_key(bencher, &keys, |key| {
        black_box(journal.holds(key));
    });
}
