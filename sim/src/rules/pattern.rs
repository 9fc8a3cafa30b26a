//! The patterns of `delPattern`: `*`, `?`, and classes such as `[0-9a]` and `[^0-9]`.

/// Whether a pattern fits a whole name. Walks both once, and back to the last `*` where what follows it does not fit.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Behind the last star, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, seen));
        } else if let Some(next) = one(&pattern[at..], name[seen]) {
            at += next;
            seen += 1;
        } else if let Some((behind, taken)) = star {
            (at, seen) = (behind, taken + 1);
            star = Some((behind, seen));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern stand for this byte, if it begins with something that fits.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let close = pattern.iter().position(|each| *each == b']')?;
            let class = &pattern[1..close];
            let (negated, class) = match class.strip_prefix(b"^") {
                Some(rest) => (true, rest),
                None => (false, class),
            };
            (in_class(class, byte) != negated).then_some(close + 1)
        }
        literal => (literal == byte).then_some(1),
    }
}

fn in_class(mut class: &[u8], byte: u8) -> bool {
    loop {
        class = match class {
            [low, b'-', high, ..] if (*low..=*high).contains(&byte) => return true,
            [_, b'-', _, rest @ ..] => rest,
            [each, ..] if *each == byte => return true,
            [_, rest @ ..] => rest,
            [] => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_as_the_checkers_do() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "k0", true),
            ("k*", "k0", true),
            ("k*", "n0", false),
            ("k0", "k0", true),
            ("k0", "k01", false),
            ("?[0-1]", "k1", true),
            ("?[0-1]", "k2", false),
            ("?[^0-1]", "k2", true),
            ("[ab]c", "bc", true),
            ("*a*b", "xaab", true),
            ("*a*b", "xaba", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} and {name}");
        }
    }
}
