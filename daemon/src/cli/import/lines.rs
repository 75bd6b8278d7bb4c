//! [`Lines`]: NDJSON, where one line is one event, whatever is on it.
//!
//! A line is judged whole: text behind its object, a second object, an array or a broken one make the line no event, and the next line
//! is not touched by it. Blank lines are passed over, as is the white space around an event. A line over the limit is passed over
//! without being held.

use std::io::{self, Read};

use super::piece::Piece;
use super::scan::Fault;
use super::window::Window;

/// Reads events from lines.
#[derive(Debug)]
pub struct Lines<R> {
    window: Window<R>,
    event_bytes_max: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(window: Window<R>, event_bytes_max: usize) -> Lines<R> {
        Lines { window, event_bytes_max }
    }

    pub(super) fn window(&self) -> &Window<R> {
        &self.window
    }

    /// The next line that is not blank; `None` at the end of the input.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        if !self.skip_blank()? {
            return Ok(None);
        }
        let place = self.window.place();
        let (mut scanned, mut dropped) = (0, false);
        let length = loop {
            let unread = self.window.unread();
            if let Some(n) = unread.get(scanned..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                break scanned + n;
            }
            scanned = unread.len();
            if self.window.is_full() {
                self.window.take(scanned);
                (scanned, dropped) = (0, true);
            }
            if !self.window.fill()? {
                break scanned;
            }
        };
        let taken = self.window.take(length);
        let line = trim_end(self.window.taken(taken).unwrap_or_default());
        if dropped || line.len() > self.event_bytes_max {
            return Ok(Some(Piece::Broken { place, until: self.window.place(), fault: Fault::TooLarge }));
        }
        Ok(Some(Piece::Element { bytes: line, place }))
    }

    /// Goes to the next byte that is no white space; `false` when there is none.
    fn skip_blank(&mut self) -> io::Result<bool> {
        loop {
            let unread = self.window.unread();
            let blank = unread.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
            let found = blank < unread.len();
            self.window.take(blank);
            if found || !self.window.fill()? {
                return Ok(found);
            }
        }
    }
}

/// Without the white space of JSON at its end: a form feed is none.
fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r')).map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
