//! Calls that a server did not do: where they go next, and who waits behind them.

mod again;
pub mod detours;
