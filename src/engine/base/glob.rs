//! Redis' glob syntax (`* ? [a-c] [^a] \x`), so that `delPattern` removes the same keys in memory mode as in redis
//! mode.
//!
//! Redis matches bytes, not characters, compares ranges as signed bytes, and gives unfinished classes (`[`, `[^`,
//! `[a-`) a meaning; all of that is kept, and property-tested against a real server (`tests/glob.rs`). Unlike Redis'
//! recursive matcher this one goes back to the last `*` only, which is enough since every other element takes exactly
//! one byte: time is bounded by pattern × key, and the stack by nothing at all.

/// Whether the whole of `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to resume after a mismatch: behind the last `*`, with one more byte of the text given to it.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            while pattern.get(p) == Some(&b'*') {
                p += 1;
            }
            retry = Some((p, t));
            continue;
        }
        match element(&pattern[p.min(pattern.len())..], text[t]) {
            Some(taken) => {
                p += taken;
                t += 1;
            }
            None => match retry {
                Some((star, from)) => {
                    p = star;
                    t = from + 1;
                    retry = Some((star, t));
                }
                None => return false,
            },
        }
    }
    // Redis compares an empty text with nothing but the empty pattern.
    if text.is_empty() {
        return pattern.is_empty();
    }
    pattern[p.min(pattern.len())..].iter().all(|&b| b == b'*')
}

/// Matches one element other than `*` with one byte; how many bytes of the pattern it took, or `None`.
fn element(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => class(rest, byte).map(|taken| taken + 1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Matches the class that begins behind `[`.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.first() == Some(&b'^');
    let mut i = usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[i.min(pattern.len())..] {
            // The pattern ended inside the class: what was read of it counts.
            [] => break,
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                i += 2;
            }
            [b']', ..] => {
                i += 1;
                break;
            }
            [low, b'-', high, ..] => {
                // Signed, as the `char` of Redis' C is on the common platforms.
                let (low, high, byte) = (*low as i8, *high as i8, byte as i8);
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                i += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                i += 1;
            }
        }
    }
    (found != negated).then_some(i)
}

/// What every text that matches begins with, or a part of it.
pub fn literal(pattern: &[u8]) -> &[u8] {
    let special = |b: &u8| matches!(b, b'*' | b'?' | b'[' | b'\\');
    &pattern[..pattern.iter().position(special).unwrap_or(pattern.len())]
}

/// Escapes what would mean something in a pattern.
pub fn escape(literal: &str) -> String {
    let mut out = String::with_capacity(literal.len() + 8);
    for c in literal.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
