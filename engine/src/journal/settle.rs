//! Makes what a replay has read durable before anybody sees it.
//!
//! A process that dies between a write and its sync leaves frames that the next process reads from the page cache; after a failed
//! sync such pages may even count as clean, so that another sync would do nothing. The bytes of the last group, the only ones whose
//! durability nothing proves, are therefore written again, just as they are, and synced.

use crate::error::{Error, Result};
use crate::journal::outcome::Replay;
use crate::mutants;
use crate::storage::{File, Storage};

const PIECE_BYTES: u64 = 1 << 20;

/// Rewrites and syncs the last group of the last file.
///
/// # Errors
/// What the operating system says; then the log must not be opened.
pub(super) fn settle(storage: &dyn Storage, replay: &Replay) -> Result<()> {
    let Some(unsettled) = replay.unsettled.as_ref().filter(|_| !mutants::is("settle_left_out")) else { return Ok(()) };
    let name = &unsettled.file;
    let failed = |error| Error::io("cannot make the end of the journal durable", error).in_file(name);
    let file = storage.open(name).map_err(failed)?;
    let mut at = unsettled.bytes.start;
    while at < unsettled.bytes.end {
        at = rewrite(&*file, at, unsettled.bytes.end).map_err(failed)?;
    }
    file.sync().map_err(failed)
}

fn rewrite(file: &dyn File, at: u64, end: u64) -> std::io::Result<u64> {
    let mut piece = vec![0; (end - at).min(PIECE_BYTES) as usize];
    file.read_at(&mut piece, at)?;
    file.write_at(&piece, at)?;
    Ok(at + piece.len() as u64)
}
