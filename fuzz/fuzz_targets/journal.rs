//! Any bytes as a journal file: what can be read is replayed, the rest is reported.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let catalog = include_bytes!("../seeds/catalog/empty");
    if let Ok(log) = trail_fuzz::files::open(&[("catalog", catalog), ("journal-0000000000000001", bytes)]) {
        let stats = log.stats();
        assert!(stats.events <= 50_000 + bytes.len() as u64);
        let _ = log.health();
    }
});
