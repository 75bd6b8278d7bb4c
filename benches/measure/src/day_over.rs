//! What a log takes once its days are over: its last merges, its disk, and with that all CPU seconds that its events have cost.
//!
//! The server's log is opened in this process, with a clock that is put forward. Limits: an hour like that is behind the log then, so that one that is to be
//! kept is left alone.

use std::path::Path;

use trail_rig::{Result, disk, grouped, mebibytes};

use crate::bounds;
use crate::in_process::pass_days;
use crate::storing::Spent;
use crate::table::Table;

/// Lets the days of a log pass that no server has open, and prints what came of it; `spent` is what its events have cost before.
///
/// # Errors
/// When the log cannot be opened, or not all of it is sealed.
pub(crate) fn measure(directory: &Path, spent: Option<Spent>, batch: usize) -> Result<()> {
    eprintln!("merging and sealing what is left");
    let over = pass_days(directory)?;
    let million = over.events.max(1) as f64 / 1e6;
    let (before, after) = over.segments;
    let table = Table::begin(&format!(
        "The same log when its days are over, {} events, {before} segments made {after} and sealed",
        grouped(over.events)
    ));
    let bytes = disk(directory)?.all;
    let each = bytes as f64 / over.events.max(1) as f64;
    let shown = format!("{each:.1} bytes an event ({})", mebibytes(bytes));
    table.figure("disk, sealed: all files of the log, which was closed", each, &shown, bounds::BYTES_AN_EVENT);
    let (merging, sealing) = (over.merging / million, over.sealing / million);
    table.row("the last merges, CPU s / M events; flushing and sealing", &format!("{merging:.2}; {sealing:.2}"));
    let Some(spent) = spent else { return Ok(()) };
    let all = spent.seconds + merging + sealing;
    table.figure("CPU s / M events, from the request to the sealed segment", all, &format!("{all:.2}"), bounds::of_ingest(batch));
    let multiple = all / spent.gauge.max(1e-9);
    table.figure("multiple of zstd -3, all of that", multiple, &format!("{multiple:.2}"), bounds::of_multiple(batch));
    Ok(())
}
