//! Whatever passes as an event must be put together again byte for byte; and what `serde_json` reads as an object must pass.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trail_engine::fuzzing::taken_apart_and_put_together;

fuzz_target!(|text: &str| {
    let again = taken_apart_and_put_together(text);
    if let Some(again) = &again {
        assert_eq!(again, text.trim_matches([' ', '\t', '\r', '\n']).as_bytes());
    }
    // `serde_json` bounds numbers, refuses lone surrogates, and has the same depth bound of 128.
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => assert!(again.is_some(), "a good object is refused"),
        Ok(_) => assert!(again.is_none(), "something that is no object is taken"),
        Err(error) if error.is_eof() => assert!(again.is_none(), "a text that ends early is taken"),
        Err(_) => {}
    }
});
