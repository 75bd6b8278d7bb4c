//! Any bytes as a batch of the journal: unfolded to events that lie in the text in order, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [codec, events, low, high, stored @ ..] = input else { return };
    let raw_bytes = match codec % 2 {
        0 => stored.len(),
        _ => usize::from(*low) | usize::from(*high) << 8,
    };
    if let Ok((ranges, text)) = trail_engine::fuzzing::payload(codec % 5, raw_bytes, usize::from(*events), stored) {
        assert_eq!(ranges.len(), usize::from(*events));
        let mut end = 0;
        for range in ranges {
            assert!(end <= range.start && range.start <= range.end && range.end <= text.len());
            end = range.end;
        }
    }
});
