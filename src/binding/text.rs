//! Strings and bytes in and out of V8, each in one copy.

use std::ptr;
use std::sync::Arc;

use napi::bindgen_prelude::{FromNapiValue, ToNapiValue, TypeName, Uint8ArraySlice, ValidateNapiValue};
use napi::{Error, Result, Status, ValueType, sys};

use super::external;
use crate::engine::base::text::{self, Kept};

/// A JavaScript string as it came: plain ASCII, which most turns are and whose offsets are bytes already, or UTF-16
/// code units, in which JavaScript counts, and half a surrogate pair can still be told from a whole one.
pub enum Text {
    Ascii(String),
    Utf16(Vec<u16>),
}

impl Text {
    /// The string, with U+FFFD in place of half surrogate pairs.
    pub fn into_lossy(self) -> String {
        match self {
            Self::Ascii(text) => text,
            Self::Utf16(units) => String::from_utf16_lossy(&units),
        }
    }
}

impl TypeName for Text {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Text {}

fn check(status: sys::napi_status, what: &str) -> Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(Error::new(Status::from(status), what.to_owned())) }
}

impl FromNapiValue for Text {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut units = 0;
        // SAFETY: `env` and `value` are live, as napi-rs passes them from the running call; a null buffer asks for the
        // length only.
        check(
            unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut units) },
            "expected a string",
        )?;
        let mut bytes: Vec<u8> = Vec::with_capacity(units + 1);
        let mut copied = 0;
        // SAFETY: the buffer has room for `units` bytes and the terminating zero, and napi writes no more than it is
        // told there is.
        check(
            unsafe { sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), units + 1, &mut copied) },
            "the string could not be read",
        )?;
        // SAFETY: napi has initialised the first `copied` bytes, and `copied` <= `units` < capacity.
        unsafe { bytes.set_len(copied) };
        // As many ASCII bytes as there are code units: that is all of it. Anything else needs more bytes than units,
        // and was cut short.
        if copied == units && bytes.is_ascii() {
            return String::from_utf8(bytes)
                .map(Self::Ascii)
                .map_err(|_| Error::new(Status::InvalidArg, "the string could not be read".to_owned()));
        }
        let mut wide: Vec<u16> = Vec::with_capacity(units + 1);
        // SAFETY: as above, in units of two bytes.
        check(
            unsafe { sys::napi_get_value_string_utf16(env, value, wide.as_mut_ptr(), units + 1, &mut copied) },
            "the string could not be read",
        )?;
        // SAFETY: napi has initialised the first `copied` units, and `copied` <= `units` < capacity.
        unsafe { wide.set_len(copied) };
        Ok(Self::Utf16(wide))
    }
}

/// The text of a turn, alone or first in a list of the values that do not lie in it.
pub struct Turn {
    pub text: Text,
    pub whole: Vec<Kept>,
}

impl TypeName for Turn {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Turn {}

impl FromNapiValue for Turn {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut count = 0;
        // SAFETY: `env` and `value` are live, as napi-rs passes them from the running call; a string is no list, which
        // is all that is asked of it.
        if unsafe { sys::napi_get_array_length(env, value, &mut count) } != sys::Status::napi_ok {
            // SAFETY: as above.
            return Ok(Self { text: unsafe { Text::from_napi_value(env, value)? }, whole: Vec::new() });
        }
        let element = |at: u32| -> Result<sys::napi_value> {
            let mut element = ptr::null_mut();
            // SAFETY: as above; `element` is a place for the value.
            check(unsafe { sys::napi_get_element(env, value, at, &mut element) }, "expected a list of values")?;
            Ok(element)
        };
        // SAFETY: `element` gives values of the running call.
        let text = unsafe { Text::from_napi_value(env, element(0)?)? };
        // SAFETY: as above.
        let whole = (1..count).map(|at| unsafe { whole(env, element(at)?) }).collect::<Result<_>>()?;
        Ok(Self { text, whole })
    }
}

/// A copy of a value that is a string, or bytes.
///
/// # Safety
/// `env` and `value` are live, as napi-rs passes them from the running call.
unsafe fn whole(env: sys::napi_env, value: sys::napi_value) -> Result<Kept> {
    let mut length = 0;
    // SAFETY: as said; a null buffer asks for the length only.
    let asked = unsafe { sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &mut length) };
    if asked != sys::Status::napi_ok {
        // SAFETY: as said; the memory is copied before anything of JavaScript runs.
        let bytes = unsafe { Uint8ArraySlice::from_napi_value(env, value)? };
        return Ok(Kept::bytes(bytes.to_vec()));
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 1);
    let mut copied = 0;
    // SAFETY: the buffer has room for `length` bytes and the terminating zero, and napi writes no more than it is told
    // there is.
    check(
        unsafe { sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), length + 1, &mut copied) },
        "the string could not be read",
    )?;
    // SAFETY: napi has initialised the first `copied` bytes, and `copied` <= `length` < capacity.
    unsafe { bytes.set_len(copied) };
    let text = String::from_utf8(bytes);
    text.map(Kept::text).map_err(|_| Error::new(Status::InvalidArg, "the string could not be read".to_owned()))
}

/// A JSON text on its way to `JSON.parse`.
pub struct Json<T: AsRef<str> = String>(pub T);

impl<T: AsRef<str>> TypeName for Json<T> {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl<T: AsRef<str>> ToNapiValue for Json<T> {
    unsafe fn to_napi_value(env: sys::napi_env, Json(text): Self) -> Result<sys::napi_value> {
        let text = text.as_ref();
        let mut value = ptr::null_mut();
        let length = isize::try_from(text.len()).map_err(|_| Error::new(Status::InvalidArg, "too long".to_owned()))?;
        // ASCII is Latin-1 too: V8 copies it into a one-byte string without looking at each character, and parses that
        // faster.
        let create = if text.is_ascii() { sys::napi_create_string_latin1 } else { sys::napi_create_string_utf8 };
        // SAFETY: `env` is live, as napi-rs passes it from the running call; the pointer and length are those of
        // `text`, which lives until the call returns, and which V8 copies.
        check(
            unsafe { create(env, text.as_ptr().cast(), length, &mut value) },
            "the replies are too long for one string",
        )?;
        Ok(value)
    }
}

/// A long text that may have other readers.
struct Long(Arc<String>);

impl AsRef<str> for Long {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl external::Lying for Long {}

/// The text of a wake-up, and what comes beside it: texts, and bytes. Where V8 has no room for one of them JavaScript
/// gets an empty text in its place, and knows whose replies are lost: an error here would end the process.
pub struct Frames {
    pub text: String,
    pub lone: Vec<text::Json>,
}

impl Default for Frames {
    fn default() -> Self {
        Self { text: "[]".to_owned(), lone: Vec::new() }
    }
}

impl TypeName for Frames {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ToNapiValue for Frames {
    unsafe fn to_napi_value(env: sys::napi_env, Self { text, lone }: Self) -> Result<sys::napi_value> {
        // SAFETY: `env` is live, as napi-rs passes it from the running call.
        let string = |text: &str| unsafe {
            Json::to_napi_value(env, Json(text)).or_else(|_| Json::to_napi_value(env, Json("")))
        };
        if lone.is_empty() {
            return string(&text);
        }
        // SAFETY: `env` as above.
        let long = |text: Arc<String>| match unsafe { external::string(env, Long(text)) } {
            Ok(string) => Ok(string),
            Err(Long(text)) => string(&text),
        };
        let beside = |json: text::Json| match json {
            text::Json::Shared(Kept::Text(text)) | text::Json::Lone(text) => long(text),
            // SAFETY: `env` is live, as napi-rs passes it from the running call.
            text::Json::Shared(Kept::Bytes(bytes)) => unsafe { copy(env, &bytes) }.or_else(|_| string("")),
            text => string(text.as_str()),
        };
        let texts = std::iter::once(string(&text)).chain(lone.into_iter().map(beside)).collect::<Result<Vec<_>>>()?;
        let mut list = ptr::null_mut();
        // SAFETY: `env` as above; `list` is a place for the value.
        check(unsafe { sys::napi_create_array_with_length(env, texts.len(), &mut list) }, "no room for a list")?;
        for (at, text) in (0..).zip(texts) {
            // SAFETY: `env` as above; `list` and `text` are values of this call.
            check(unsafe { sys::napi_set_element(env, list, at, text) }, "no room in a list")?;
        }
        Ok(list)
    }
}

/// Bytes as a Buffer of their reader's own. A copy: memory of ours would have to outlive the environment, and not every
/// runtime takes it.
///
/// # Safety
/// `env` is live, as napi-rs passes it from the running call.
unsafe fn copy(env: sys::napi_env, bytes: &[u8]) -> Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: as said; V8 copies the bytes, which live until the call returns, into memory of its own.
    check(
        unsafe { sys::napi_create_buffer_copy(env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), &mut value) },
        "no room for the bytes",
    )?;
    Ok(value)
}
