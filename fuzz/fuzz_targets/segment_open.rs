//! Any bytes as a segment file: opened and asked everything, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _refused = trail_engine::fuzzing::segment(bytes);
});
