//! What a block of the heap takes: what is counted against `maxMemory` is what the process has.
//!
//! An allocator keeps blocks of certain sizes, and gives the next larger one. The addon's (mimalloc, chosen in
//! src/binding/mod.rs) has steps of 16 bytes up to 128, then four sizes between a power of two and the next, so a block
//! takes up to a quarter more than was asked for. jemalloc's sizes are the same, glibc's are finer. Of a large block
//! the end that nobody wrote to is no memory yet: there only pages count.

/// Bytes before the contents of an `Arc<str>` or `Arc<[T]>`: its two counters.
const COUNTERS: usize = 16;
/// The smallest step between two sizes of blocks.
const STEP: usize = 16;

/// A block larger than this takes whole pages of the system, of so many bytes.
const LARGE: usize = 128 << 10;
const PAGE: usize = 4 << 10;

/// Bytes of the heap that a block of `bytes` takes.
pub const fn block(bytes: usize) -> usize {
    let step = match bytes {
        0 => return 0,
        _ if bytes <= 8 * STEP => STEP,
        _ if bytes <= LARGE => 1 << (bytes - 1).ilog2() >> 2,
        _ => PAGE,
    };
    bytes.next_multiple_of(step)
}

/// Bytes of the heap behind an `Arc<str>` or `Arc<[T]>` whose contents have `bytes`.
pub const fn shared(bytes: usize) -> usize {
    block(COUNTERS + bytes)
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn blocks_have_steps_of_16_bytes_then_four_sizes_up_to_each_power_of_two_then_pages() {
        let sizes = [
            (0, 0),
            (1, 16),
            (16, 16),
            (17, 32),
            (112, 112),
            (128, 128),
            (129, 160),
            (160, 160),
            (161, 192),
            (225, 256),
            (257, 320),
            (2_048, 2_048),
            (2_049, 2_560),
            (33_600, 40_960),
            (1 << 20, 1 << 20),
            (15 << 20 | 1, 15 << 20 | 4_096),
        ];
        for (bytes, taken) in sizes {
            assert_eq!(block(bytes), taken, "{bytes} bytes");
        }
    }
}
