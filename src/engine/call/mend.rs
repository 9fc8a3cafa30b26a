//! Frames that `JSON.parse` refuses, mended: what is no JSON among the values becomes `null`, and is named.
//!
//! A value that is only passed on is known to be balanced (`base/balance.rs`), and whether it is JSON the parse of all
//! of them tells. This is the rare case where one is not. As each is balanced, the frames can still be taken apart.

use crate::engine::base::balance;
use crate::engine::base::text::is_json;

/// The same frames (see `splice`), which can be parsed. Each value that is no JSON is `null` in its place, and stands
/// as `[index,0]` among what its frame says beside its replies. None: these are no frames.
pub fn mend(text: &str) -> Option<String> {
    let mut parts = balance::parts(inner(text)?);
    let mut out = String::with_capacity(text.len());
    while let Some(id) = parts.next() {
        let (from, replies, asides) = (parts.next()?, parts.next()?, parts.next()?);
        out.push(if out.is_empty() { '[' } else { ',' });
        for part in [id, ",", from, ","] {
            out.push_str(part);
        }
        match inner(replies) {
            // Of replies that have a place each the index is one within the frame.
            Some(replies) => {
                body(&mut out, if inner(from).is_some() { 0 } else { from.parse().ok()? }, replies, asides)
            }
            // An event.
            None => [replies, ",", asides].into_iter().for_each(|part| out.push_str(part)),
        }
    }
    out.push(']');
    is_json(&out).then_some(out)
}

/// Appends `[reply,…],asides`.
fn body(out: &mut String, from: usize, replies: &str, asides: &str) {
    let mut named = String::from(inner(asides).unwrap_or_default());
    out.push('[');
    for (i, reply) in balance::parts(replies).enumerate().filter(|_| !replies.is_empty()) {
        if i > 0 {
            out.push(',');
        }
        if is_json(reply) {
            out.push_str(reply);
            continue;
        }
        out.push_str("null");
        let comma = if named.is_empty() { "" } else { "," };
        named.push_str(&format!("{comma}[{},0]", from + i));
    }
    out.push_str("],");
    if named.is_empty() {
        out.push('0');
    } else {
        ["[", &named, "]"].into_iter().for_each(|part| out.push_str(part));
    }
}

/// What stands between the brackets of a list.
fn inner(list: &str) -> Option<&str> {
    list.strip_prefix('[')?.strip_suffix(']')
}
