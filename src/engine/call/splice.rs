//! Replies as JSON, for the one `JSON.parse` that turns a whole group of them into values.
//!
//! A frame is `id,from,[reply,…],asides`: where among its batch's replies it begins, replies in the order of the
//! operations, then 0 or a list of what is to be said of some of them: `[index,"CODE","message"]` of one that failed,
//! `[index]` of one whose value comes as a text of its own, `[index,1]` of one that comes as what it is: bytes, or a
//! text that is no JSON. Where several servers answer a batch, `from` may be the
//! list of the replies' places; an index is then one within the frame. Frames stand one behind the other in one array.
//! Replies of `getOrCompute` are arrays themselves, so that a stored `null` differs from a miss.
//!
//! A value is not known to be JSON, but to be balanced, so that none is taken for another's: `base/balance.rs`.
//!
//! Replies of any size cross: V8 holds no string beyond 512 MiB, and a text of tens of megabytes holds up the event
//! loop while it is parsed. So a batch whose replies are longer than [`MAX_FRAME`] goes in several frames, and one
//! reply is no longer than what `entry::MAX_JSON` lets through.

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::{Json, Kept};
use crate::engine::call::reply::{Hot, Reply};

/// Bytes of the replies in one frame; a single longer reply has a frame of its own.
pub const MAX_FRAME: usize = 64 << 20;
/// Bytes that a batch is answered with at once from the near cache, before the value that exceeds them.
pub const MAX_EARLY: usize = MAX_FRAME / 4;

/// Bytes that the replies take, nearly.
pub fn size(replies: &[Reply]) -> usize {
    replies.iter().map(size_of).sum()
}

/// Bytes that a reply takes, nearly.
pub fn size_of(reply: &Reply) -> usize {
    match reply {
        Reply::Value(json) | Reply::Hit(json) | Reply::Stale(json) => json.given().size() + 5,
        Reply::LeadOver(.., kept) => kept.size() + 32,
        Reply::Hot(hot) => hot.text.len() + 32,
        Reply::Error(error) => error.message.len() + 48,
        _ => 5,
    }
}

/// The replies in parts of `max` bytes at most, or of one reply; each with the place of its first one.
pub fn parts(replies: &[Reply], max: usize) -> impl Iterator<Item = (usize, &[Reply])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = replies.get(from..).filter(|rest| !rest.is_empty())?;
        let mut bytes = 0;
        let fits = rest.iter().take_while(|reply| {
            bytes += size_of(reply);
            bytes <= max
        });
        let count = fits.count().max(1);
        from += count;
        rest.get(..count).map(|part| (from - count, part))
    })
}

/// Appends one frame, without a separator; adds what comes beside it to `lone`.
pub fn frame(out: &mut String, id: u32, from: usize, replies: &[Reply], lone: &mut Vec<Json>) {
    number(out, i64::from(id));
    out.push(',');
    number(out, index(from));
    out.push(',');
    body(out, from, replies, lone);
}

/// As `frame`, of replies that are not one behind the other: `id,[place,…],[reply,…],asides`.
pub fn some(out: &mut String, id: u32, places: &[u32], replies: &[Reply], lone: &mut Vec<Json>) {
    number(out, i64::from(id));
    let mut sign = ",[";
    for place in places {
        out.push_str(std::mem::replace(&mut sign, ","));
        number(out, i64::from(*place));
    }
    out.push_str("],");
    body(out, 0, replies, lone);
}

/// Appends `[reply,…],asides`.
pub fn body(out: &mut String, from: usize, replies: &[Reply], lone: &mut Vec<Json>) {
    out.reserve(size(replies) + 16);
    out.push('[');
    let mut said = false;
    for (i, reply) in replies.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        said |= matches!(reply, Reply::Error(_)) || lone_of(reply).is_some();
        one(out, reply);
    }
    out.push_str("],");
    if said {
        asides(out, from, replies, lone);
    } else {
        out.push('0');
    }
}

/// What comes beside the frame of its reply.
fn lone_of(reply: &Reply) -> Option<Json> {
    match reply {
        Reply::Value(json) | Reply::Hit(json) | Reply::Stale(json) => json.is_beside().then(|| json.clone()),
        Reply::LeadOver(.., Kept::Json(_)) => None,
        Reply::LeadOver(.., whole) => Some(Json::Shared(whole.clone())),
        _ => None,
    }
}

/// A value's text, or what stands in its place.
fn text_of(json: &Json) -> &str {
    if json.is_beside() { "0" } else { json.as_str() }
}

fn one(out: &mut String, reply: &Reply) {
    match reply {
        Reply::Value(json) => out.push_str(text_of(json)),
        // What is hot stands in a list of its own, as a text.
        Reply::Miss | Reply::Error(_) | Reply::Hot(_) | Reply::Bounced(_) => out.push_str("null"),
        Reply::Done | Reply::Later => out.push('0'),
        Reply::Number(n) => number(out, *n),
        Reply::Flag(true) => out.push_str("true"),
        Reply::Flag(false) => out.push_str("false"),
        // JSON has no infinity; no time left is ever negative.
        Reply::Left(Ttl::Forever) => out.push_str("-1"),
        Reply::Left(Ttl::Millis(ms)) => number(out, i64::try_from(*ms).unwrap_or(i64::MAX)),
        Reply::Hit(json) => list_of(out, &[0], Some(text_of(json))),
        Reply::Lead(token) => list_of(out, &[1, i64::from(*token)], None),
        Reply::LeadOver(token, age, kept) => {
            let text = if let Kept::Json(text) = kept { text } else { "0" };
            list_of(out, &[1, i64::from(*token), *age], Some(text));
        }
        Reply::Follow(token) => list_of(out, &[2, i64::from(*token)], None),
        Reply::Wait => out.push_str("[3]"),
        Reply::Nothing => out.push_str("[4]"),
        Reply::Again => out.push_str("[5]"),
        Reply::Stale(json) => list_of(out, &[6], Some(text_of(json))),
        Reply::Elsewhere => out.push_str("[7]"),
    }
}

fn list_of(out: &mut String, numbers: &[i64], value: Option<&str>) {
    for (i, n) in numbers.iter().enumerate() {
        out.push(if i == 0 { '[' } else { ',' });
        number(out, *n);
    }
    if let Some(value) = value {
        out.push(',');
        out.push_str(value);
    }
    out.push(']');
}

fn asides(out: &mut String, from: usize, replies: &[Reply], lone: &mut Vec<Json>) {
    let mut sign = '[';
    for (i, reply) in replies.iter().enumerate() {
        let error = if let Reply::Error(error) = reply { Some(error) } else { None };
        let text = lone_of(reply);
        if error.is_none() && text.is_none() {
            continue;
        }
        out.push(std::mem::replace(&mut sign, ','));
        out.push('[');
        number(out, index(from + i));
        if let Some(error) = error {
            out.push(',');
            string(out, error.code);
            out.push(',');
            string(out, &error.message);
        }
        if matches!(text, Some(Json::Shared(_))) {
            out.push_str(",1");
        }
        out.push(']');
        lone.extend(text);
    }
    out.push(']');
}

/// Appends `[reply,…],asides,hot,later`, for replies that are given at once: `hot` is 0 or
/// `[index,milliseconds,"text",[slot,version,…],…]`, `later` is 0 or the indexes of those whose reply comes as a frame.
/// Adds what comes beside them to `lone`.
pub fn at_once(out: &mut String, replies: &[Reply], lone: &mut Vec<Json>) {
    body(out, 0, replies, lone);
    let hot = |r: &Reply| matches!(r, Reply::Hot(_));
    list(out, replies, hot, |out, i, reply| {
        let Reply::Hot(hot) = reply else { return };
        number(out, index(i));
        out.push(',');
        hot_parts(out, hot);
    });
    list(out, replies, |r| matches!(r, Reply::Later), |out, i, _| number(out, index(i)));
}

/// Appends `milliseconds,"text",[slot,version,…]`.
fn hot_parts(out: &mut String, hot: &Hot) {
    let ms = match hot.ttl {
        Ttl::Millis(ms) => i64::try_from(ms).unwrap_or(i64::MAX),
        Ttl::Forever => i64::MAX,
    };
    number(out, ms);
    out.push(',');
    string(out, &hot.text);
    out.push_str(",[");
    for (n, (slot, version)) in hot.versions.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        number(out, index(*slot));
        out.push(',');
        number(out, i64::from(*version));
    }
    out.push(']');
}

/// Appends a comma, and 0 or the list of what `each` writes for the replies that `which` picks.
fn list(
    out: &mut String,
    replies: &[Reply],
    which: impl Fn(&Reply) -> bool,
    each: impl Fn(&mut String, usize, &Reply),
) {
    let before = out.len();
    for (i, reply) in replies.iter().enumerate().filter(|(_, r)| which(r)) {
        out.push_str(if out.len() == before { ",[" } else { "," });
        each(out, i, reply);
    }
    out.push_str(if out.len() == before { ",0" } else { "]" });
}

fn index(i: usize) -> i64 {
    i64::try_from(i).unwrap_or(i64::MAX)
}

/// Appends an integer.
pub fn number(out: &mut String, n: i64) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = write!(out, "{n}");
}

/// Appends a JSON string.
pub fn string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
