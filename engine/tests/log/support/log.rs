//! Logs for tests: opened on a disk in memory, filled event by event.

use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::index::StoredEvent;
use trail_engine::query::{Order, PageRequest, Selection};
use trail_engine::{AuditLog, Options, Receipt, Result};

use crate::support::schema::schema;
use trail_sim::clock::Hands;
use trail_sim::disk::Disk;

/// Small journals, nothing flushed by itself.
pub(crate) fn options() -> Options {
    Options { schema: schema(), journal_bytes: 64 << 10, ..Options::default() }
}

pub(crate) fn open(memory: &Disk, options: Options, clock: &Arc<Hands>) -> Result<AuditLog> {
    AuditLog::open_storage(Arc::new(memory.clone()), options, clock.clone())
}

/// Appends events as one batch, all of which must be good.
pub(crate) fn append<T: AsRef<[u8]>>(log: &AuditLog, events: &[T]) -> Result<Receipt> {
    let (batch, rejections) = log.prepare(&mut events.iter().map(AsRef::as_ref))?;
    assert!(rejections.is_empty(), "{rejections:?}");
    log.append(batch)
}

/// All time.
pub(crate) fn everything() -> Selection {
    Selection { q: String::new(), from: Some("1700-01-01T00:00:00Z".into()), to: Some("2261-12-31T00:00:00Z".into()) }
}

/// Every event of a log, in the order of sequences.
pub(crate) fn all_events(log: &AuditLog) -> Result<Vec<StoredEvent>> {
    let mut events = Vec::new();
    let mut page = PageRequest { order: Order::Ascending, limit: 300, ..PageRequest::default() };
    loop {
        let answer = log.search(&everything(), &page, &Cancel::default())?;
        events.extend(answer.events);
        page.cursor = answer.next_cursor;
        if page.cursor.is_none() {
            events.sort_by_key(|e| e.sequence);
            return Ok(events);
        }
    }
}

/// Looks again and again, for as long as background work may take.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        pause(50);
    }
    panic!("waited in vain until {what}");
}

/// Gives background work time to do what it must not do.
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(std::time::Duration::from_millis(millis));
}
