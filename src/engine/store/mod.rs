//! How entries lie in this process: a bounded map from keys to JSON texts, which weighs little more than these.
//!
//! **The problem.** A map of entries with heap blocks for key and value takes twice the bytes of a small entry: each
//! block is rounded up to a size of the allocator, and keys, links and hashes lie in the table.
//!
//! **The approach.** Entries are records, one behind the other in segments of 64 KiB ([`segments`], [`record`]). A
//! table of four bytes an entry finds them ([`index`]). The names of JSON objects are held once ([`names`]). What is
//! larger than a sixteenth of a segment has heap blocks of its own ([`bulky`]).
//!
//! **Eviction** is S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: FIFO Queues are All You Need for Cache Eviction, 2023),
//! which needs no links. New entries are *young*, a tenth of the bound. The oldest young one goes, and its hash is
//! remembered, unless it was read: then it is *old*. The oldest old one goes unless it was read since it was last
//! looked at. An entry whose hash is remembered is old at once. So a scan of keys that are read once passes through the
//! tenth of the young. A record that stays is copied behind the others, and one insertion copies [`room::SPARED`]
//! segments at most: where everything was read, the oldest goes nevertheless.
//!
//! **Holes** that records leave where they are replaced or removed by values of another size are filled by moving what
//! lives beside them: before anything is evicted where they are an eighth, and in any case where they are a quarter.
//!
//! **Rejected.** *A block for each entry* (key, value and header in one): the allocator's sizes alone take a tenth, and
//! order needs links. *Segments that are evicted whole* (Segcache): an entry that is read often goes with its
//! neighbours.
//!
//! Uses base and value.

pub mod bulky;
pub mod entries;
pub mod index;
pub mod names;
pub mod record;
pub mod room;
pub mod segments;

/// Fast, and as an attacker cannot foresee; in a simulation the same each time.
#[cfg(not(feature = "simulation"))]
pub type Hasher = foldhash::fast::RandomState;
#[cfg(feature = "simulation")]
pub type Hasher = crate::engine::base::random::Hashes;
