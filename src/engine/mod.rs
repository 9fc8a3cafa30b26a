//! The engine, in the order in which a call passes through it.
//!
//! A turn of the event loop arrives as a [`batch`], values as their [`leaves`]; what a call says beyond key, value and
//! TTL are its [`extras`]. [`cache`] answers what the [`near`] cache holds, gives the rest to the connection in
//! [`redis`], or runs it on the in-process tier ([`local`] over [`memory`]) while Redis is away; one [`budget`] bounds
//! what all of them keep. [`entry`] reads the bytes that were found, [`tags`] tells whether they were invalidated, and
//! [`life`] whether they are fresh, or old and still of use; [`expiry`] gives them a new TTL. [`flight`] makes each key
//! computed once, for its [`waiters`], and [`fences`] say what of it may not be stored; [`lease`] does so across
//! processes. The replies go back through a [`batch::Sink`], spliced into one JSON text by [`splice`].
//!
//! [`long`] work looks at every key: what a sweep is about to remove is hidden by [`covers`] in Redis and by [`marks`]
//! in process, and a [`walk`] removes it.

#![forbid(unsafe_code)]

pub mod batch;
pub mod budget;
pub mod cache;
pub mod clock;
pub mod codec;
pub mod covers;
pub mod entry;
pub mod error;
pub mod expiry;
pub mod extras;
pub mod fences;
pub mod flight;
pub mod glob;
pub mod heads;
mod heap;
pub mod journal;
pub mod key;
pub mod lease;
pub mod leaves;
pub mod life;
pub mod local;
pub mod long;
pub mod marks;
pub mod memory;
pub mod mutant;
pub mod near;
pub mod options;
pub mod pattern;
pub mod random;
pub mod redis;
pub mod registry;
pub mod room;
pub mod splice;
pub mod stats;
pub mod status;
pub mod tag_list;
pub mod tags;
pub mod waiters;
pub mod walk;

#[cfg(test)]
mod tests;
