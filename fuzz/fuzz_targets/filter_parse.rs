//! Any text is a filter or an error with a place; a filter prints as a text that reads back as the same filter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trail_engine::event::{Dimension, DimensionKind};
use trail_engine::query::Filter;

fuzz_target!(|text: &str| {
    let dimensions = ["user", "event_name", "source_ip"].map(|name| Dimension { name: name.into(), kind: DimensionKind::Keyword });
    match Filter::parse(text, &dimensions) {
        Ok(filter) => {
            let printed = filter.to_string();
            match Filter::parse(&printed, &dimensions) {
                Ok(again) => assert_eq!(again.to_string(), printed),
                // The printed form repeats the fields of groups, and can be too long.
                Err(error) => assert!(printed.len() > 4_096, "`{printed}` is refused: {error}"),
            }
        }
        Err(error) => assert!(error.offset().is_none_or(|at| at <= text.len() as u64), "{error}"),
    }
});
