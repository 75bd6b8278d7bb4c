//! [`Window`]: the stretch of an input that is in memory, and where it stands in the input.
//!
//! It holds one event of the largest size and a read-ahead, however long the input is. Readers look at what is unread, ask for more,
//! and take bytes off the front; lines and bytes are counted here, once for all of them.

use std::io::{self, Read};
use std::ops::Range;

use super::piece::Place;

/// How much is read ahead, in bytes.
const READ_BYTES: usize = 256 << 10;

/// An input behind a buffer of fixed size.
#[derive(Debug)]
pub(super) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    /// What is unread in `buffer`: from `start` up to `end`.
    start: usize,
    end: usize,
    place: Place,
}

impl<R: Read> Window<R> {
    /// A window that can hold an event of `event_bytes_max` bytes.
    pub(super) fn new(input: R, event_bytes_max: usize) -> Window<R> {
        Window { input, buffer: vec![0; event_bytes_max.saturating_add(READ_BYTES)], start: 0, end: 0, place: Place::START }
    }

    /// The place of the first unread byte.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// What is unread and in memory.
    pub(super) fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The first unread byte, when it is in memory.
    pub(super) fn first(&self) -> Option<u8> {
        self.unread().first().copied()
    }

    /// Whether no more fits before bytes are taken.
    pub(super) fn is_full(&self) -> bool {
        self.start == 0 && self.end == self.buffer.len()
    }

    /// Bytes that were taken and not yet overwritten by [`Window::fill`].
    pub(super) fn taken(&self, bytes: Range<usize>) -> Option<&[u8]> {
        self.buffer.get(bytes)
    }

    /// Takes bytes off the front, at most what is unread; where they stand for [`Window::taken`].
    pub(super) fn take(&mut self, bytes: usize) -> Range<usize> {
        let passed = self.buffer.get(self.start..self.end.min(self.start.saturating_add(bytes))).unwrap_or_default();
        let range = self.start..self.start + passed.len();
        self.place.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.place.byte += passed.len() as u64;
        self.start = range.end;
        range
    }

    /// Reads more; `false` at the end of the input, or when the window is full.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        loop {
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.input.read(free) {
                Ok(n) => {
                    self.end += n;
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
