//! The log under test: its schema, how it is opened on a disk, and everything it has read back.

use std::sync::Arc;
use std::time::Duration;

use trail_engine::budget::Cancel;
use trail_engine::event::{Dimension, DimensionKind, DimensionSchema, EventKind, Mapping, Path, Pick, Source};
use trail_engine::index::StoredEvent;
use trail_engine::query::{Order, PageRequest, Selection};
use trail_engine::{AuditLog, Options, Receipt, Result};

use crate::clock::{DAY, Hands};
use crate::disk::Disk;

/// How many days events are kept.
pub const RETENTION_DAYS: u32 = 3;

/// Small files, so that everything happens within a few hundred operations.
#[must_use]
pub fn options() -> Options {
    Options { schema: schema(), retention: DAY * RETENTION_DAYS, journal_bytes: 8 << 10, head_bytes_max: 24 << 10, ..Options::default() }
}

/// The dimensions of the events that `events` makes.
fn schema() -> DimensionSchema {
    let path = |path: &str| Path::parse(path).expect("a path");
    let mapping =
        |dimension: &str, at: &str| Mapping { dimension: dimension.into(), pick: Pick::All, sources: vec![Source::value(path(at))] };
    let kind = EventKind {
        name: "any".into(),
        recognise: vec![],
        event_id: vec![path("id")],
        event_time: vec![path("time")],
        mappings: vec![mapping("user", "user"), mapping("name", "name")],
    };
    let dimension = |name: &str, kind| Dimension { name: name.into(), kind };
    let dimensions = vec![
        dimension("event_id", DimensionKind::Unique),
        dimension("user", DimensionKind::Keyword),
        dimension("name", DimensionKind::Keyword),
    ];
    DimensionSchema { dimensions, kinds: vec![kind] }
}

/// Opens a log on a disk.
///
/// # Errors
/// What the engine says.
pub fn open(disk: &Disk, options: Options, clock: &Arc<Hands>) -> Result<AuditLog> {
    AuditLog::open_storage(Arc::new(disk.clone()), options, clock.clone())
}

/// Appends events as one batch, all of which must be good.
///
/// # Errors
/// What the engine says.
pub fn append<T: AsRef<[u8]>>(log: &AuditLog, events: &[T]) -> Result<Receipt> {
    let (batch, rejections) = log.prepare(&mut events.iter().map(AsRef::as_ref))?;
    assert!(rejections.is_empty(), "{rejections:?}");
    log.append(batch)
}

/// How often there is a look whether background work is done, how long is between two, and how many there are at most: minutes.
const BETWEEN: Duration = Duration::from_micros(200);
const LOOKS_MAX: u32 = 600_000;

/// Has background work look at the clock, and waits until it has nothing left to do, however slow the machine is: so that the same steps give the
/// same calls again.
///
/// # Panics
/// When it never ends.
pub fn settle(log: &AuditLog) {
    settle_unless(log, &|| false);
}

/// The same until something happens that makes it not worth waiting.
///
/// # Panics
/// When neither happens.
pub fn settle_unless(log: &AuditLog, given_up: &dyn Fn() -> bool) {
    log.look_at_the_clock();
    let rests = (0..LOOKS_MAX).any(|_| {
        log.is_at_rest() || given_up() || {
            std::thread::sleep(BETWEEN);
            false
        }
    });
    assert!(rests, "background work does not end");
}

/// All time.
#[must_use]
pub fn everything() -> Selection {
    Selection { q: String::new(), from: Some("1700-01-01T00:00:00Z".into()), to: Some("2261-12-31T00:00:00Z".into()) }
}

/// Every event of a log that can be read, in the order of sequences, and what the answers say is missing.
///
/// # Errors
/// What the engine says.
pub fn read_all(log: &AuditLog) -> Result<(Vec<StoredEvent>, Vec<trail_engine::Gap>)> {
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    let mut page = PageRequest { order: Order::Ascending, limit: 1_000, ..PageRequest::default() };
    loop {
        let answer = log.search(&everything(), &page, &Cancel::default())?;
        events.extend(answer.events);
        gaps.extend(answer.incomplete);
        page.cursor = answer.next_cursor;
        if page.cursor.is_none() {
            events.sort_by_key(|e| e.sequence);
            return Ok((events, gaps));
        }
    }
}
