//! Verifying a log: every segment is read again from end to end.

use crate::budget::Budget;
use crate::codec::checksum::crc32;
use crate::error::{Error, Result};
use crate::id::Sequence;
use crate::lifecycle::live::parts::LiveSegment;
use crate::lifecycle::live::shared::Shared;
use crate::lifecycle::repair::salvage::count_readable;
use crate::segment::read::verify;
use crate::status::DamagedSegment;

/// Every segment with which something is wrong; the log can be used meanwhile. `on_read` is told of bytes of segments that were read.
pub(crate) fn run(shared: &Shared, budget: &Budget, on_read: &dyn Fn(u64)) -> Result<Vec<DamagedSegment>> {
    let mut found = Vec::new();
    for live in &shared.parts().segments {
        let errors = errors(live, budget, on_read)?;
        if errors.is_empty() {
            continue;
        }
        let entry = &live.entry;
        found.push(DamagedSegment {
            file: entry.file_name(),
            first_sequence: entry.first_sequence,
            last_sequence: Sequence(entry.end_sequence().0.saturating_sub(1)),
            events: u64::from(entry.documents),
            readable: live.segment.as_ref().map_or(Ok(0), |segment| count_readable(segment, budget))?,
            errors,
        });
    }
    Ok(found)
}

fn errors(live: &LiveSegment, budget: &Budget, on_read: &dyn Fn(u64)) -> Result<Vec<Error>> {
    let Some(segment) = &live.segment else {
        return Ok(vec![Error::corrupt("the segment cannot be opened").in_file(live.entry.file_name())]);
    };
    let mut errors = verify::verify_with(segment, budget, on_read)?;
    let whole = crc32(segment.view());
    if errors.is_empty() && whole != live.entry.crc32 {
        let error = Error::corrupt("the file's checksum differs from the catalog's").in_file(live.entry.file_name());
        errors.push(error.expected(format_args!("crc32 {:08x}", live.entry.crc32), format_args!("{whole:08x}")));
    }
    Ok(errors)
}
