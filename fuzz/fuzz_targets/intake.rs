//! Lines as events: what is taken in comes back byte for byte from the journal's form; an extractor that knows the shapes of other events reads
//! them as one that knows none; and strings at declared paths are indexed as `serde_json` reads them.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trail_engine::fuzzing::Intake;

thread_local! {
    /// Has seen the events of all inputs so far, and is made anew from time to time.
    static EXPERIENCED: RefCell<(Intake, u32)> = RefCell::default();
}

/// Longer terms are cut.
const TERM_BYTES_MAX: usize = 4_096;

fuzz_target!(|text: &[u8]| {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let Ok(fresh) = Intake::default().take(lines.iter().copied()) else { return };
    EXPERIENCED.with_borrow_mut(|(intake, uses)| {
        *uses += 1;
        if *uses % 1_000 == 0 {
            *intake = Intake::default();
        }
        for _ in 0..2 {
            let again = intake.take(lines.iter().copied()).unwrap();
            assert_eq!(again, fresh, "known shapes are read otherwise");
        }
    });
    let refused: Vec<usize> = fresh.refused.iter().map(|(index, _)| *index).collect();
    let taken = lines.iter().enumerate().filter(|(index, _)| !refused.contains(index)).map(|(_, line)| *line);
    let mut events = 0;
    for ((line, event), terms) in taken.zip(&fresh.events).zip(&fresh.terms) {
        events += 1;
        let trimmed = std::str::from_utf8(line).unwrap().trim_matches([' ', '\t', '\r', '\n']);
        assert_eq!(trimmed.as_bytes(), event);
        compare(trimmed, terms);
    }
    assert_eq!(events, fresh.events.len());
});

/// Holds the terms of an event against `serde_json`, where no key stands twice.
fn compare(event: &str, terms: &[(u16, Vec<u8>)]) {
    let Ok(value) = serde_json::from_str::<Value>(event) else { return };
    // A key may be written with escapes; then `serde_json` alone says which it is, and which of two counts is not compared.
    let once = |key: &str| event.matches(&format!("\"{key}\"")).count() == 1;
    if event.contains("\\u") {
        return;
    }
    for (path, dimension, keys) in [("/a", 1, &["a"][..]), ("/b/c", 1, &["b", "c"]), ("/d", 2, &["d"])] {
        if let (Some(Value::String(wanted)), true) = (value.pointer(path), keys.iter().all(|key| once(key)))
            && (1..=TERM_BYTES_MAX).contains(&wanted.len())
        {
            assert!(
                terms.iter().any(|(d, term)| (*d, term.as_slice()) == (dimension, wanted.as_bytes())),
                "{path} is not indexed: {wanted:?}"
            );
        }
    }
}
