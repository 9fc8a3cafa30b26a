//! Linker settings for a Node addon; nothing to do for the pure engine.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
