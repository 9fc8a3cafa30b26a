//! Values as their leaves, and the JSON texts that are made of them.
//!
//! **The problem.** `JSON.stringify` is more than half of what a `set` costs the event loop: it writes names that the
//! last thousand values had as well, prints numbers digit by digit, and copies strings that are copied twice more on
//! their way here.
//!
//! **The approach.** JavaScript (`src/js/value/leaves.js`) only takes a plain value apart: numbers go into the array of
//! numbers as they are, strings behind each other into the turn's text, and an object is the number of its *shape*, the
//! list of its names, which crosses once. The text is written here, by `Batch::render`, on the engine's thread where
//! there is one. It is the text that `JSON.stringify` would have written, byte for byte:
//! `__test__/inputs/leaves.spec.js`. What is not plain (an object of a class, a cycle) still crosses as a text.
//!
//! **How they cross.** A finite number is a number. Non-finite numbers are tags, and all but NaN are followed by a
//! second number:
//!
//! | | followed by | is |
//! | --- | --- | --- |
//! | NaN | | `null` |
//! | Infinity | a length | a string, the next so many code units of the value's strings |
//! | Infinity | −1, −2 | `true`, `false` |
//! | −Infinity | the number of a shape | an object, whose values follow in the order of its names |
//! | −Infinity | −1 − a length | a list, whose elements follow |
//!
//! **Rejected.** *V8's own serialization* (`v8.serialize`) read here: it does not call `toJSON`, and a class that has
//! one could not be told from a plain object. *One `JSON.stringify` of many copied values*: a fifth less.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::engine::base::text::Span;

/// Deeper values come as texts; see src/js/value/leaves.js, which stops earlier.
const DEEPEST: usize = 128;
/// What is kept of shapes: some hundred are a lot for an application; objects whose names are data would bring new ones
/// for ever.
const MAX_SHAPES: usize = 4096;
const MAX_SHAPE_TEXT: usize = 1 << 20;

/// The shapes of the objects of one environment, by number.
#[derive(Debug, Default)]
pub struct Shapes(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The texts before each value of an object: `{"a":` and `,"b":`.
    shapes: Vec<Vec<Box<str>>>,
    numbers: HashMap<Box<str>, u32>,
    text: usize,
}

impl Shapes {
    /// The number of the shape with these names, each a JSON string, between line feeds. `None` where no more shapes
    /// are kept.
    pub fn number(&self, names: &str) -> Option<u32> {
        let mut known = self.0.write();
        if let Some(&number) = known.numbers.get(names) {
            return Some(number);
        }
        if known.shapes.len() == MAX_SHAPES || known.text + names.len() > MAX_SHAPE_TEXT {
            return None;
        }
        let number = u32::try_from(known.shapes.len()).ok()?;
        // A JSON string holds no line feed; no text at all is an object without names.
        let before = names
            .split('\n')
            .filter(|name| !name.is_empty())
            .enumerate()
            .map(|(i, name)| format!("{}{name}:", if i == 0 { '{' } else { ',' }).into());
        known.shapes.push(before.collect());
        known.numbers.insert(names.into(), number);
        known.text += names.len();
        Some(number)
    }
}

/// The values of a batch that are still leaves.
#[derive(Debug)]
pub struct Leaves {
    shapes: Arc<Shapes>,
    numbers: Vec<f64>,
    values: Vec<Unwritten>,
}

#[derive(Debug)]
struct Unwritten {
    op: usize,
    /// Its strings in the batch's text.
    strings: Span,
    /// Where its numbers end; they begin where those of the one before end.
    end: usize,
}

impl Leaves {
    pub fn new(shapes: Arc<Shapes>) -> Self {
        Self { shapes, numbers: Vec::new(), values: Vec::new() }
    }

    /// The value of the operation `op`, whose strings are ASCII.
    pub fn push(&mut self, op: usize, strings: Span, numbers: &[f64]) {
        self.numbers.extend_from_slice(numbers);
        self.values.push(Unwritten { op, strings, end: self.numbers.len() });
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Gives each value: its operation, where its strings are, and what writes its text with these. `None` of the
    /// latter where the numbers do not make a value.
    pub fn each(self, mut take: impl FnMut(usize, Span, &dyn Fn(&mut String, &str) -> Option<()>)) {
        let mut begin = 0;
        for Unwritten { op, strings, end } in self.values {
            let numbers = &self.numbers[begin..end];
            take(op, strings, &|out, strings| write(out, Strings::Ascii(strings), numbers, &self.shapes));
            begin = end;
        }
    }
}

/// The strings of one value, one behind the other.
pub enum Strings<'a> {
    Ascii(&'a str),
    Utf16(&'a [u16]),
}

/// Appends the JSON text of a value. `None` where the numbers do not make one.
pub fn write(out: &mut String, strings: Strings<'_>, numbers: &[f64], shapes: &Shapes) -> Option<()> {
    let mut writer = Writer { out, strings, numbers: numbers.iter(), known: &shapes.0.read() };
    writer.value(0)?;
    writer.numbers.next().is_none().then_some(())
}

struct Writer<'a> {
    out: &'a mut String,
    strings: Strings<'a>,
    numbers: std::slice::Iter<'a, f64>,
    known: &'a Known,
}

impl Writer<'_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        let n = *self.numbers.next()?;
        if n.is_finite() {
            number(self.out, n);
            return Some(());
        }
        if n.is_nan() {
            self.out.push_str("null");
            return Some(());
        }
        let code = *self.numbers.next()?;
        match (n > 0.0, code) {
            (true, -1.0) => self.out.push_str("true"),
            (true, -2.0) => self.out.push_str("false"),
            (true, length) if length >= 0.0 => self.string(length as usize)?,
            (false, _) if depth == DEEPEST => return None,
            (false, shape) if shape >= 0.0 => self.object(shape as usize, depth)?,
            (false, length) => self.list((-1.0 - length) as usize, depth)?,
            _ => return None,
        }
        Some(())
    }

    fn object(&mut self, shape: usize, depth: usize) -> Option<()> {
        let shape = self.known.shapes.get(shape)?;
        if shape.is_empty() {
            self.out.push('{');
        }
        for before in shape {
            self.out.push_str(before);
            self.value(depth + 1)?;
        }
        self.out.push('}');
        Some(())
    }

    fn list(&mut self, length: usize, depth: usize) -> Option<()> {
        self.out.push('[');
        for i in 0..length {
            if i > 0 {
                self.out.push(',');
            }
            self.value(depth + 1)?;
        }
        self.out.push(']');
        Some(())
    }

    fn string(&mut self, length: usize) -> Option<()> {
        self.out.push('"');
        match &mut self.strings {
            Strings::Ascii(rest) => {
                let (string, after) = rest.split_at_checked(length)?;
                *rest = after;
                if string.bytes().fold(false, |any, b| any | (b < b' ') | (b == b'"') | (b == b'\\')) {
                    string.chars().for_each(|c| escaped(self.out, c));
                } else {
                    self.out.push_str(string);
                }
            }
            Strings::Utf16(rest) => {
                let (string, after) = rest.split_at_checked(length)?;
                *rest = after;
                for c in char::decode_utf16(string.iter().copied()) {
                    match c {
                        Ok(c) => escaped(self.out, c),
                        // Half a surrogate pair has no UTF-8: JSON keeps it as an escape.
                        Err(half) => hex(self.out, half.unpaired_surrogate()),
                    }
                }
            }
        }
        self.out.push('"');
        Some(())
    }
}

/// As `JSON.stringify` escapes it, and no more than that.
fn escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\0'..='\u{1f}' => hex(out, c as u16),
        c => out.push(c),
    }
}

fn hex(out: &mut String, unit: u16) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\u{unit:04x}");
}

/// As JavaScript prints it.
fn number(out: &mut String, n: f64) {
    // Below this every whole number is exact, and printed without an exponent.
    const MOST: u64 = 1_000_000_000_000_000;
    let whole = n as i64;
    if whole as f64 == n && whole.unsigned_abs() < MOST {
        out.push_str(itoa::Buffer::new().format(whole));
    } else {
        out.push_str(ryu_js::Buffer::new().format_finite(n));
    }
}
