//! [`Source`]: where the bytes of a segment file come from.
//!
//! **Problem.** Answers are fastest over a mapped file, but a place of it that the medium cannot read ends the process. Who looks for
//! damage wants an error instead, with its place, and to go on with the rest.
//!
//! **Mechanism.** A source is a map, or a file that is read by calls, a piece at a time. **Limits.** What is read by calls is read as often as
//! it is asked for; who wants it twice keeps it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::checksum::Running;
use crate::error::{Error, Result};
use crate::storage::{File, Storage, View};

/// So much is read at a time of what is only passed through.
const PIECE_BYTES: u64 = 1 << 20;

/// The bytes of a segment file.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// In memory, or mapped.
    View(View),
    /// Read by calls: the file and its length in bytes.
    Calls(Arc<dyn File>, u64),
}

impl Source {
    /// A file of a directory, in the way in which that lets its files be read.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn open(storage: &dyn Storage, name: &str) -> Result<Source> {
        let file = storage.open(name).map_err(|e| Error::io("cannot open a segment", e).in_file(name))?;
        if storage.may_map() {
            return file.view().map(Source::View).map_err(|e| Error::io("cannot map a segment", e).in_file(name));
        }
        let length = file.length().map_err(|e| Error::io("cannot read a segment", e).in_file(name))?;
        Ok(Source::Calls(file, length))
    }

    /// The length of the file in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Source::View(view) => view.len() as u64,
            Source::Calls(_, length) => *length,
        }
    }

    /// A stretch of the file.
    ///
    /// # Errors
    /// What the operating system says, with the place; [`crate::ErrorKind::Corrupt`] when the file is shorter.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>> {
        let beyond = || Error::corrupt("a part reaches past the end of the file").at(range.start);
        if range.start > range.end || range.end > self.len() {
            return Err(beyond());
        }
        let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let (start, end) = place.ok_or_else(beyond)?;
        match self {
            Source::View(view) => view.get(start..end).map(Cow::Borrowed).ok_or_else(beyond),
            Source::Calls(..) if start == end => Ok(Cow::Borrowed(&[])),
            Source::Calls(file, _) => {
                let mut bytes = vec![0; end - start];
                file.read_at(&mut bytes, range.start).map_err(|e| Error::io("cannot read a segment", e).at(range.start))?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// The checksum of a stretch, of which little is held at a time.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(crate) fn checksum(&self, range: Range<u64>) -> Result<u32> {
        let mut running = Running::default();
        let mut next = range.start;
        while next < range.end {
            let end = range.end.min(next.saturating_add(PIECE_BYTES));
            running.take(&self.read(next..end)?);
            next = end;
        }
        Ok(running.end())
    }
}
