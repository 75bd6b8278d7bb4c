//! A cursor is a client's text: it is read, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trail_engine::budget::Cancel;
use trail_engine::query::{PageRequest, Selection};

fuzz_target!(|text: &str| {
    let (cursor, q) = text.split_once('\n').unwrap_or((text, ""));
    let catalog = include_bytes!("../seeds/catalog/empty");
    let log = trail_fuzz::files::open(&[("catalog", catalog)]).unwrap();
    let page = PageRequest { cursor: Some(cursor.to_owned()), ..PageRequest::default() };
    let selection = Selection { q: q.to_owned(), ..Selection::default() };
    let _refused = log.search(&selection, &page, &Cancel::default());
});
