//! The model against a real server: the same commands to both, the same replies and pushes from both.

mod alone;
mod faults;
mod pair;
mod random;
mod real;
mod scenes;
mod table;
mod words;
