//! Long texts that V8 reads where they lie, in memory of ours, in place of a copy of its own.
//!
//! **The problem.** A string of more than some hundred kilobytes lies in pages of its own, which the system fills with
//! zeros first. For a text of 200 KB that took more time than everything else on its way to its reader.
//!
//! **The approach.** An *external* string: V8 keeps the address, and calls back when it needs the bytes no more. The
//! callback only frees memory, so it does not matter whether the environment is still there. Strings cannot change, so
//! readers, and the near cache, may share the bytes.
//!
//! **The limits.** For ASCII alone: V8 has no strings of UTF-8. The function is part of Node-API 10, and was in Node
//! before that; where there is none there is a copy, and so where V8 keeps strings in a cage of its own (Electron says
//! that it copied). Bun and Deno have the function too, and nobody has tried what becomes of the bytes there.
//!
//! **Unloading.** Where a worker thread was the last to use the addon, Node closes it with that thread's environment,
//! and frees the thread's strings after that. With glibc it was seen to stay mapped all the same; not to depend on it,
//! the addon holds itself once it is to lend anything: see `pinned`.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::sys;

/// Bytes from which on a text is lent. V8 gives pages of their own to strings of more than 128 KiB.
const LEAST: usize = 128 << 10;

/// Whether the runtime is one whose strings are known to give back what they were lent.
static KNOWN: AtomicBool = AtomicBool::new(false);

type Release = unsafe extern "C" fn(sys::napi_env, *mut c_void, *mut c_void);
type Create = unsafe extern "C" fn(
    sys::napi_env,
    *const c_char,
    usize,
    Release,
    *mut c_void,
    *mut sys::napi_value,
    *mut bool,
) -> sys::napi_status;

/// A text whose bytes lie where they lie for as long as this lives, wherever this is moved to.
pub trait Lying: AsRef<str> + Send + 'static {}

/// The runtime is Node.
pub fn allow() {
    KNOWN.store(true, Ordering::Relaxed);
}

/// The string of a text; the text again where it is to be copied.
///
/// # Safety
/// `env` is live, as napi-rs passes it from the running call.
pub unsafe fn string<T: Lying>(env: sys::napi_env, text: T) -> Result<sys::napi_value, T> {
    let bytes = text.as_ref().as_bytes();
    if bytes.len() < LEAST || !bytes.is_ascii() {
        return Err(text);
    }
    let Some(create) = create() else { return Err(text) };
    let (start, length) = (bytes.as_ptr(), bytes.len());
    let hint = Box::into_raw(Box::new(text));
    let (mut value, mut copied) = (ptr::null_mut(), false);
    // SAFETY: `env` as said. The bytes live until `release` is called with `hint`, which V8 does once, whether it
    // copied them or not; nobody writes them.
    let status = unsafe { create(env, start.cast(), length, release::<T>, hint.cast(), &mut value, &mut copied) };
    if status == sys::Status::napi_ok {
        return Ok(value);
    }
    // SAFETY: a call that failed has not kept the hint, which is that of the box above.
    Err(unsafe { *Box::from_raw(hint) })
}

/// V8 needs the bytes no more. On the thread of the string, whose environment may be gone.
unsafe extern "C" fn release<T: Lying>(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is that of `string`, and this is called once for each.
    drop(unsafe { Box::from_raw(hint.cast::<T>()) });
}

/// The function, where the runtime is known and has it.
fn create() -> Option<Create> {
    static CREATE: OnceLock<Option<Create>> = OnceLock::new();
    if KNOWN.load(Ordering::Relaxed) { *CREATE.get_or_init(find) } else { None }
}

#[cfg(unix)]
fn find() -> Option<Create> {
    let host = libloading::os::unix::Library::this();
    // SAFETY: the function of that name has this type, by Node-API 10, and the process that has it stays.
    let found = unsafe { host.get::<Create>(b"node_api_create_external_string_latin1\0").ok().map(|found| *found) };
    found.filter(|_| pinned())
}

#[cfg(not(unix))]
fn find() -> Option<Create> {
    None
}

/// Holds the addon: opened once more, and never closed, it stays loaded.
#[cfg(unix)]
fn pinned() -> bool {
    let inside: *const c_void = (&raw const KNOWN).cast();
    // SAFETY: `dladdr` writes all of `info` where it finds the object, and says whether it did; the name that it gives
    // lives as long as the object. With RTLD_NOLOAD nothing is loaded that is not loaded already.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        libc::dladdr(inside, &mut info) != 0
            && !libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD).is_null()
    }
}
