//! Reading files through, for what the medium does not give.
//!
//! **Problem.** A bad sector is no wrong byte: no checksum names it, and a read of a whole component says no more than that one of its
//! megabytes is bad. **Mechanism.** Every file is read once from end to end in large pieces; a piece that fails is read again in units of
//! a page, so that the place is known. **Limits.** A disk may take seconds to refuse one: behind [`STRETCHES_MAX`] bad stretches a file is left.

use std::io;
use std::ops::Range;

use crate::budget::Budget;
use crate::codec::checksum::Running;
use crate::error::{Error, Result};
use crate::lifecycle::live::catalog::CATALOG;
use crate::lifecycle::repair::meter::Meter;
use crate::storage::{File, Storage};

const PIECE_BYTES: u64 = 1 << 20;
const UNIT_BYTES: u64 = 4 << 10;
const STRETCHES_MAX: usize = 16;

/// What reading a file has met.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// What could not be read; it is lines for people.
    pub(crate) unread: Vec<String>,
    /// What was read at the second try.
    pub(crate) notes: Vec<String>,
    /// The checksum of the whole file, where all of it could be read.
    pub(crate) whole: Option<u32>,
}

/// Whether a file is one whose bytes count: the catalog, the journal's live files, segments.
pub(crate) fn is_live(name: &str) -> bool {
    let numbered = |start: &str| {
        let digits = name.strip_prefix(start);
        digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
    };
    name == CATALOG || numbered("journal-") || numbered("segment-")
}

/// Reads a file from end to end. What cannot be read is no error.
///
/// # Errors
/// Cancellation.
pub(crate) fn read_through(storage: &dyn Storage, name: &str, budget: &Budget, meter: &Meter) -> Result<Refusals> {
    let mut refusals = Refusals::default();
    let opened = storage.open(name).and_then(|file| Ok((file.length()?, file)));
    let (length, file) = match opened {
        Ok(opened) => opened,
        // It went meanwhile; whoever misses it says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(refusals),
        Err(error) => {
            refusals.unread.push(format!("{name}: cannot be opened: {error}"));
            return Ok(refusals);
        }
    };
    let mut buffer = vec![0; PIECE_BYTES.min(length) as usize];
    let (mut bad, mut checksum): (Vec<(Range<u64>, io::Error)>, Running) = Default::default();
    for start in (0..length).step_by(PIECE_BYTES as usize) {
        budget.check()?;
        let piece = start..length.min(start.saturating_add(PIECE_BYTES));
        let into = buffer.get_mut(..(piece.end - piece.start) as usize).unwrap_or_default();
        if let Err(error) = file.read_at(into, start) {
            let before = bad.len();
            find_bad(&*file, into, &piece, budget, &mut bad)?;
            if bad.len() == before && bad.last().is_none_or(|(last, _)| last.end <= start) {
                refusals.notes.push(format!("{name}: bytes {start} to {} were read at the second try: {error}", piece.end));
            }
        }
        checksum.take(into);
        if bad.len() > STRETCHES_MAX {
            refusals.unread.push(format!("{name}: what lies behind byte {} was not tried: too much of the file cannot be read", piece.end));
            break;
        }
        meter.pass(name, piece.end - piece.start);
    }
    let lines = bad.iter().map(|(range, error)| {
        let (length, start) = (range.end - range.start, range.start);
        format!("{name}: {length} bytes at byte {start} cannot be read: {error}")
    });
    refusals.unread.extend(lines);
    refusals.whole = bad.is_empty().then(|| checksum.end());
    Ok(refusals)
}

/// Reads a piece that cannot be read at once unit by unit; what cannot be read follows in `bad`, neighbours as one stretch.
fn find_bad(file: &dyn File, buffer: &mut [u8], piece: &Range<u64>, budget: &Budget, bad: &mut Vec<(Range<u64>, io::Error)>) -> Result<()> {
    for start in piece.clone().step_by(UNIT_BYTES as usize) {
        budget.check()?;
        let end = piece.end.min(start.saturating_add(UNIT_BYTES));
        let into = buffer.get_mut(..(end - start) as usize).unwrap_or_default();
        let Err(error) = file.read_at(into, start) else { continue };
        if let Some((last, _)) = bad.last_mut().filter(|(last, _)| last.end == start) {
            last.end = end;
        } else {
            bad.push((start..end, error));
        }
        if bad.len() > STRETCHES_MAX {
            break;
        }
    }
    Ok(())
}

/// What an error says, with its cause: what the operating system says is in that.
pub(crate) fn in_words(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
