//! The rules on small histories made by hand (`twins`, `lasting`, `stale`, `mishaps`), and side by side with the
//! checker's on random ones (`alike`).

mod alike;
mod json;
mod lasting;
mod mishaps;
mod random;
mod stale;
mod story;
mod twins;
