//! Several servers: the machines on which they run, the nodes that a process drives, and, of a cluster, who owns what.

pub mod crew;
pub mod line;
pub mod machine;
mod moves;
