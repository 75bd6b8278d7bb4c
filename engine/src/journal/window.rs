//! [`Window`]: a file read in bounded pieces.
//!
//! Small reads are served from a piece of 256 KiB; only a frame that is longer is read by itself. So a replay holds one frame, and
//! a search for the next frame behind damaged bytes holds one piece.

use std::sync::Arc;

use memchr::memmem;

use crate::error::{Error, Result};
use crate::journal::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, MAGIC};
use crate::storage::File;

const PIECE_BYTES: usize = 256 << 10;

/// A file of known length, and the piece of it that was read last.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn File>,
    name: String,
    length: u64,
    start: u64,
    piece: Vec<u8>,
}

impl Window {
    /// # Errors
    /// When the length cannot be asked for.
    pub(super) fn open(file: Arc<dyn File>, name: String) -> Result<Window> {
        let length = file.length().map_err(|e| Error::io("cannot read the journal", e).in_file(&name))?;
        Ok(Window { file, name, length, start: 0, piece: Vec::new() })
    }

    /// The length of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The name of the file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The bytes at an offset: `len`, or fewer where the file ends.
    ///
    /// # Errors
    /// What the operating system says, with the place.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let available = self.length.saturating_sub(offset);
        let len = len.min(usize::try_from(available).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(&[]);
        }
        let held = self.start + self.piece.len() as u64;
        if offset < self.start || offset + len as u64 > held {
            self.load(offset, available.min(len.max(PIECE_BYTES) as u64) as usize)?;
        }
        let from = (offset - self.start) as usize;
        Ok(self.piece.get(from..from + len).unwrap_or_default())
    }

    fn load(&mut self, offset: u64, len: usize) -> Result<()> {
        self.start = offset;
        self.piece.resize(len, 0);
        if let Err(error) = self.file.read_at(&mut self.piece, offset) {
            self.piece.clear();
            return Err(Error::io("cannot read the journal", error).in_file(&self.name).at(offset));
        }
        Ok(())
    }

    /// The first intact frame header at or behind an offset (a multiple of 8) that is wanted.
    ///
    /// Only headers count here: a header with a good checksum proves what it says, whatever became of its payload.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn find_header(
        &mut self,
        from: u64,
        mut wanted: impl FnMut(u64, &FrameHeader) -> bool,
    ) -> Result<Option<(u64, FrameHeader)>> {
        let mut offset = from;
        while offset + FRAME_HEADER_BYTES as u64 <= self.length {
            let piece = self.bytes(offset, PIECE_BYTES)?;
            if let Some((at, header)) = headers(piece).find(|(at, header)| wanted(offset + *at as u64, header)) {
                return Ok(Some((offset + at as u64, header)));
            }
            // A header that began in the last bytes of this piece is whole in the next one.
            offset += (piece.len() - FRAME_HEADER_BYTES + ALIGNMENT) as u64 / ALIGNMENT as u64 * ALIGNMENT as u64;
        }
        Ok(None)
    }
}

fn headers(piece: &[u8]) -> impl Iterator<Item = (usize, FrameHeader)> {
    let aligned = memmem::find_iter(piece, &MAGIC).filter(|at| at % ALIGNMENT == 0);
    aligned.filter_map(|at| FrameHeader::decode(piece.get(at..at + FRAME_HEADER_BYTES)?).ok().map(|header| (at, header)))
}
