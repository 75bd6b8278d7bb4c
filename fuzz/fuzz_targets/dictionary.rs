//! Any bytes as a dictionary.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _refused = trail_engine::fuzzing::dictionary(bytes);
});
