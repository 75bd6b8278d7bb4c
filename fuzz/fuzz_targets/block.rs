//! Any bytes as a block of a segment, or as predicted columns of one; both are behind checksums, but must not trust them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trail_engine::fuzzing::{block, predicted};

fuzz_target!(|input: &[u8]| {
    let [which, bytes @ ..] = input else { return };
    if let Err(error) = if which % 2 == 0 { block(bytes) } else { predicted(bytes) } {
        assert_ne!(error.kind(), trail_engine::ErrorKind::Invalid, "{error}");
    }
});
