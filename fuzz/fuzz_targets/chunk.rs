//! Any bytes as a chunk of a block; chunks are behind a checksum, but must not trust it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [encoding, cut, rest @ ..] = input else { return };
    let (raw, plain) = rest.split_at(rest.len().min(usize::from(*cut)));
    let _refused = trail_engine::fuzzing::chunk(encoding % 8, raw, plain);
});
