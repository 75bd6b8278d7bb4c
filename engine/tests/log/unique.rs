//! Tests of a unique dimension that are no look-ups: they are about its terms, and not about all values at its paths.

use trail_engine::budget::Cancel;
use trail_engine::query::Selection;

use crate::support::log::{append, everything, open, options};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::Disk;

#[test]
fn only_terms_count() {
    let log = open(&Disk::default(), options(), &Hands::at(START)).unwrap();
    let events = [
        r#"{"eventVersion":1,"eventId":"first","requestId":"r-1"}"#,
        r#"{"eventVersion":1,"eventId":{"id":"an object is no id"}}"#,
        r#"{"eventVersion":1,"eventId":true}"#,
        r#"{"eventVersion":1,"eventId":""}"#,
        r#"{"auditID":"the id of another kind of event"}"#,
        r#"{"eventVersion":1,"eventId":"FIRST again"}"#,
    ];
    append(&log, &events).unwrap();
    for place in ["head", "segment"] {
        let count = |q: &str| log.count(&Selection { q: q.into(), ..everything() }, &Cancel::default()).unwrap().count;
        let found = ["event_id:*", "-event_id:*", "event_id:r-*", "event_id:~FIRST*", "event_id:/.*another.*/", "request_id:*"].map(count);
        assert_eq!(found, [2, 4, 0, 2, 0, 1], "{place}");
        log.flush().unwrap();
    }
}
