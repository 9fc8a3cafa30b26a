//! The in-process store: records, names, eviction.

mod eviction;
mod names;
mod record;
mod support;
