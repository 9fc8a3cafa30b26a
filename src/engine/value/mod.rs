//! What lies at a key, and whether it may be served.
//!
//! Uses base and call.

pub mod codec;
pub mod description;
pub mod entry;
pub mod life;
pub mod record;
pub mod tag_list;
pub mod tags;
