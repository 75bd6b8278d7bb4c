//! Verifying an open log: every segment is read again from end to end. What is on disk besides is looked at by `repair::look`, on a
//! directory that nobody has open.

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::lifecycle::live::parts::LiveSegment;
use crate::lifecycle::live::shared::Shared;
use crate::segment::read::verify::verify;

/// Everything that is wrong with the segments; the log can be used meanwhile.
///
/// # Errors
/// Cancellation.
pub(crate) fn run(shared: &Shared, budget: &Budget) -> Result<Vec<Error>> {
    let mut found = Vec::new();
    for live in &shared.parts().segments {
        found.extend(errors(live, budget)?);
    }
    Ok(found)
}

fn errors(live: &LiveSegment, budget: &Budget) -> Result<Vec<Error>> {
    let Some(segment) = &live.segment else {
        return Ok(vec![Error::corrupt("the segment cannot be opened").in_file(live.entry.file_name())]);
    };
    let mut errors = verify(segment, budget)?;
    if errors.is_empty() {
        errors.extend(segment.check_whole(live.entry.crc32).err());
    }
    Ok(errors)
}
