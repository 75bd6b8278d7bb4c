//! Any bytes as a catalog.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match trail_fuzz::files::open(&[("catalog", bytes)]) {
        Ok(log) => drop(log.segments()),
        Err(error) => assert!(error.path().is_some(), "{error}"),
    }
});
