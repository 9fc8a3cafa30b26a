//! Several servers: the machines on which they run, the nodes that a process drives, and who owns which slots of a
//! cluster, or is the primary that sentinels name.

pub mod crew;
pub mod line;
pub mod machine;
mod moves;
pub mod sentinels;
pub mod woken;
