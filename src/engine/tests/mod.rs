//! The engine's tests, by feature.
