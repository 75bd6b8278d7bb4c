//! Events that are kept whole, enough of them in one block that the block is larger than any block of shredded values.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use trail_engine::budget::Cancel;
use trail_engine::event::{Dimension, DimensionKind, DimensionSchema, EventKind, Path};
use trail_engine::query::{PageRequest, Selection};
use trail_engine::{AuditLog, Options};

/// More than 64 MiB together, less than one block.
const EVENTS: usize = 72;
const BLOB_BYTES: usize = 1_000_000;

fn event(number: usize) -> Vec<u8> {
    let byte = char::from(b'a' + (number % 26) as u8);
    format!("{{\"id\":\"e{number}\",\"blob\":\"{}\"}}", String::from(byte).repeat(BLOB_BYTES)).into_bytes()
}

fn options() -> Options {
    let id = Path::parse("id").unwrap();
    let kind = EventKind { name: "any".into(), recognise: vec![], event_id: vec![id], event_time: vec![], mappings: vec![] };
    let dimensions = vec![Dimension { name: "event_id".into(), kind: DimensionKind::Unique }];
    Options { schema: DimensionSchema { dimensions, kinds: vec![kind] }, ..Options::default() }
}

#[test]
fn a_block_of_whole_events_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let log = AuditLog::open(directory.path(), options()).unwrap();
    let texts: Vec<Vec<u8>> = (0..EVENTS).map(event).collect();
    for half in texts.chunks(EVENTS / 2) {
        let (batch, rejected) = log.prepare(&mut half.iter().map(Vec::as_slice)).unwrap();
        assert_eq!((batch.len(), rejected.len()), (EVENTS / 2, 0));
        log.append(batch).unwrap();
    }
    log.flush().unwrap();
    assert_eq!((log.stats().head_events, log.stats().segments), (0, 1));
    for number in [0, 35, EVENTS - 1] {
        let found = log.events_by_id(&format!("e{number}"), &Cancel::default()).unwrap().events;
        assert_eq!(found.len(), 1, "event e{number}");
        assert!(found[0].text == texts[number], "event e{number} came back with other bytes");
    }
    let page = log.search(&Selection::default(), &PageRequest { limit: 2, ..PageRequest::default() }, &Cancel::default()).unwrap();
    assert_eq!(page.events.iter().map(|e| e.sequence.0).collect::<Vec<_>>(), [72, 71]);
}
