//! What passes as an event is what `serde_json` takes as an object, but for the bound on nesting; and it is put together again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trail_engine::fuzzing::taken_apart_and_put_together;
use trail_fuzz::reference::refused;

fuzz_target!(|text: &str| {
    let again = taken_apart_and_put_together(text);
    if let Some(again) = &again {
        assert_eq!(again, text.trim_matches([' ', '\t', '\r', '\n']).as_bytes());
    }
    let expected = refused(text.as_bytes());
    assert_eq!(again.is_some(), matches!(expected, None | Some("too_large")), "{expected:?}");
});
