//! Any bytes as any part of a file; parts are behind checksums, but must not trust them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [kind, bytes @ ..] = input else { return };
    if let Err(error) = trail_engine::fuzzing::component(*kind, bytes) {
        assert_ne!(error.kind(), trail_engine::ErrorKind::Invalid, "{error}");
    }
});
