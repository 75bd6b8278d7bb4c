//! Verifying a log: every segment is read again from end to end.

use crate::budget::Budget;
use crate::codec::checksum::crc32;
use crate::error::{Error, Result};
use crate::lifecycle::live::shared::Shared;
use crate::segment::read::verify;

/// Everything that is wrong with the segments; the log can be used meanwhile.
pub(crate) fn run(shared: &Shared, budget: &Budget) -> Result<Vec<Error>> {
    let mut found = Vec::new();
    for live in &shared.parts().segments {
        let Some(segment) = &live.segment else {
            found.push(Error::corrupt("the segment cannot be opened").in_file(live.entry.file_name()));
            continue;
        };
        let errors = verify::verify(segment, budget)?;
        let whole = crc32(segment.view());
        if errors.is_empty() && whole != live.entry.crc32 {
            let error = Error::corrupt("the file's checksum differs from the catalog's").in_file(live.entry.file_name());
            found.push(error.expected(format_args!("crc32 {:08x}", live.entry.crc32), format_args!("{whole:08x}")));
        }
        found.extend(errors);
    }
    Ok(found)
}
