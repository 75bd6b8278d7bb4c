//! A request's body is split into events: the spans are inside it, in order, and do not overlap.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../daemon/src/api/split.rs"]
mod split;

fuzz_target!(|body: &[u8]| {
    let spans = [Ok(split::split_lines(body)), split::split_json(body)];
    for spans in spans {
        match spans {
            Ok(spans) => {
                let mut end = 0;
                for span in spans {
                    assert!(end <= span.start && span.start <= span.end && span.end <= body.len());
                    end = span.end;
                }
            }
            Err(malformed) => assert!(malformed.at <= body.len(), "{}", malformed.message),
        }
    }
});
