//! Takes commands from what a client sent: arrays of bulk strings, or a line of words.

/// What stands in front of the bytes that a client sent.
pub enum Parsed<'a> {
    /// The command is not whole yet.
    More,
    /// The words of a command, none for an empty one, and how many bytes it took.
    Command(Vec<&'a [u8]>, usize),
    /// No command of the protocol: the server says this and closes the connection.
    Refused(String),
}

/// Words of one command, and bytes of one word, as Redis bounds them; bytes of a line.
const MAX_WORDS: i64 = 1024 * 1024 * 1024;
const MAX_WORD: i64 = 512 * 1024 * 1024;
const MAX_LINE: usize = 64 * 1024;

pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    match bytes.first() {
        None => Parsed::More,
        Some(b'*') => array(bytes),
        Some(_) => inline(bytes),
    }
}

fn array(bytes: &[u8]) -> Parsed<'_> {
    let Some((count, mut at)) = line(bytes, 1) else {
        return unless_long(bytes.len(), "too big mbulk count string");
    };
    let Some(count) = number(count).filter(|count| *count <= MAX_WORDS) else {
        return refused("invalid multibulk length");
    };
    let count = usize::try_from(count).unwrap_or(0);
    let mut words = Vec::with_capacity(count.min(16));
    while words.len() < count {
        match bytes.get(at) {
            None => return Parsed::More,
            Some(b'$') => {}
            Some(other) => return refused(&format!("expected '$', got '{}'", char::from(*other))),
        }
        let Some((length, begin)) = line(bytes, at + 1) else {
            return unless_long(bytes.len() - at, "too big bulk count string");
        };
        let Some(length) = number(length).filter(|length| (0..=MAX_WORD).contains(length)) else {
            return refused("invalid bulk length");
        };
        let end = begin + usize::try_from(length).unwrap_or(0);
        let Some(word) = bytes.get(begin..end).filter(|_| bytes.len() >= end + 2) else { return Parsed::More };
        words.push(word);
        at = end + 2;
    }
    Parsed::Command(words, at)
}

/// Words between blanks, without the quoting that people at a terminal need.
fn inline(bytes: &[u8]) -> Parsed<'_> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return unless_long(bytes.len(), "too big inline request");
    };
    let line = bytes.get(..end).unwrap_or_default();
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    Parsed::Command(words, end + 1)
}

fn unless_long(length: usize, why: &str) -> Parsed<'static> {
    if length > MAX_LINE { refused(why) } else { Parsed::More }
}

fn refused(why: &str) -> Parsed<'static> {
    Parsed::Refused(format!("ERR Protocol error: {why}"))
}

/// The line from `from` on, and where what follows it begins.
fn line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(from..)?;
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    (rest.len() > end + 1).then_some((rest.get(..end)?, from + end + 2))
}

/// A number as Redis takes it: digits, with nothing around them.
pub fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits[0] == b'0' && text.len() > 1 {
        return None;
    }
    // Negative, as there is one more of them.
    let mut number: i64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if digits.len() < text.len() { Some(number) } else { number.checked_neg() }
}
