//! How much the compressed entries of one batch may expand to, all together.
//!
//! A kilobyte that expands to the bound of one value is fair; a thousand of them in one batch would take gigabytes.
//! What ordinary data does is not counted: the bytes that were received bound it.

/// How much the compressed entries of one batch have expanded to.
#[derive(Debug, Default)]
pub struct Room {
    used: usize,
}

impl Room {
    /// Times its own size that an entry may expand to without being counted.
    const FAIR: usize = 16;
    /// Bytes that the entries of one batch may expand to beyond that; the first one is only bound by `max_bytes`.
    const MAX: usize = 64 << 20;

    /// Whether an entry of `packed` bytes may expand to `length`; if so, that is counted.
    pub(super) fn takes(&mut self, packed: usize, length: usize) -> bool {
        let beyond = length.saturating_sub(packed.saturating_mul(Self::FAIR));
        let fits = beyond == 0 || self.used == 0 || self.used.saturating_add(beyond) <= Self::MAX;
        if fits {
            self.used = self.used.saturating_add(beyond);
        }
        fits
    }
}
