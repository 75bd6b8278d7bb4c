//! [`Splitter`]: cuts a stream of JSON documents into its events, one at a time, in bounded memory.
//!
//! A stream is any sequence of objects (run together, or spread over lines), arrays of objects, and
//! CloudTrail's `{"Records":[...]}`. However large an array or a file is, the splitter holds one event and a read-ahead.
//! An event over the limit is passed over without being held. Behind a broken event the splitter goes on with the next
//! `{` that is indented as the broken one was; inside an array that is all on one line nothing tells events apart any more, and the
//! rest is given up.

use std::io::{self, Read};
use std::ops::Range;

use super::form::{Match, match_wrapper};
use super::piece::{Piece, Place};
use super::scan::{Fault, Scanner, Step};
use super::window::Window;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Between values of the stream.
    Top,
    /// Between the elements of an array; `wrapped` when it is the array of `{"Records":[...]}`.
    Array { wrapped: bool },
    /// Behind the array of `{"Records":[...]}`, before its `}`.
    Tail,
}

/// Reads events from a stream.
#[derive(Debug)]
pub struct Splitter<R> {
    window: Window<R>,
    /// White space since the line began, as long as there is nothing else.
    blank: Option<u32>,
    level: Level,
    event_bytes_max: usize,
}

impl<R: Read> Splitter<R> {
    /// A splitter that passes over elements of more than `event_bytes_max` bytes.
    pub(super) fn new(window: Window<R>, event_bytes_max: usize) -> Splitter<R> {
        Splitter { window, blank: Some(0), level: Level::Top, event_bytes_max }
    }

    pub(super) fn window(&self) -> &Window<R> {
        &self.window
    }

    /// The next piece; `None` at the end of the input.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            let Some(first) = self.skip_between()? else { return Ok(self.at_end()) };
            match (self.level, first) {
                (Level::Tail, _) => {
                    let (_, fault, place) = self.walk(Scanner::inside_object())?;
                    self.level = Level::Top;
                    if let Some(fault) = fault.filter(|fault| *fault != Fault::TooLarge) {
                        return Ok(Some(self.broken(place, fault)));
                    }
                }
                (Level::Top, b'[') => self.enter(1, false),
                (Level::Top, b'{') => match self.wrapper()? {
                    Some(n) => self.enter(n, true),
                    None => return self.element().map(Some),
                },
                (Level::Top, _) => return self.stray_line().map(Some),
                (Level::Array { wrapped }, b']') => {
                    self.consume(1);
                    self.level = if wrapped { Level::Tail } else { Level::Top };
                }
                (Level::Array { .. }, b'}' | b':') => {
                    let place = self.window.place();
                    self.consume(1);
                    return Ok(Some(self.broken(place, Fault::NotJson)));
                }
                (Level::Array { .. }, _) => return self.element().map(Some),
            }
        }
    }

    fn enter(&mut self, bytes: usize, wrapped: bool) {
        self.consume(bytes);
        self.level = Level::Array { wrapped };
    }

    /// At the end of the input: whether something was still open.
    fn at_end(&mut self) -> Option<Piece<'_>> {
        let level = std::mem::replace(&mut self.level, Level::Top);
        (level != Level::Top).then(|| self.broken(self.window.place(), Fault::EndOfInput))
    }

    fn broken(&self, place: Place, fault: Fault) -> Piece<'_> {
        Piece::Broken { place, until: self.window.place(), fault }
    }

    /// One value, and how to go on when it is broken.
    fn element(&mut self) -> io::Result<Piece<'_>> {
        let indent = self.blank;
        let (bytes, fault, place) = self.walk(Scanner::new(indent))?;
        let Some(fault) = fault else {
            return Ok(match self.window.taken(bytes) {
                Some(bytes) => Piece::Element { bytes, place },
                None => self.broken(place, Fault::TooLarge),
            });
        };
        if fault == Fault::Unclosed {
            // The next event stands where this one stood in its line; `consume` has forgotten it.
            self.blank = indent;
        }
        if fault == Fault::OpenString {
            let top = self.level == Level::Top;
            self.resync(indent.or(top.then_some(0)))?;
        }
        Ok(self.broken(place, fault))
    }

    /// Walks over one value: where it stands in the buffer, what is wrong with it, where it began.
    fn walk(&mut self, mut scanner: Scanner) -> io::Result<(Range<usize>, Option<Fault>, Place)> {
        let place = self.window.place();
        let (mut scanned, mut too_large) = (0, false);
        loop {
            let unread = self.window.unread().get(scanned..).unwrap_or_default();
            let fault = match scanner.scan(unread) {
                Step::End(n) => {
                    scanned += n;
                    None
                }
                Step::Broken(n, fault) => {
                    scanned += n;
                    Some(fault)
                }
                Step::More => {
                    scanned += unread.len();
                    if scanned > self.event_bytes_max {
                        too_large = true;
                        self.consume(scanned);
                        scanned = 0;
                    }
                    if self.window.fill()? {
                        continue;
                    }
                    Some(Fault::EndOfInput)
                }
            };
            too_large |= scanned > self.event_bytes_max;
            let bytes = self.consume(scanned);
            return Ok((bytes, fault.or(too_large.then_some(Fault::TooLarge)), place));
        }
    }

    /// A line of the stream that begins with neither `{` nor `[`.
    fn stray_line(&mut self) -> io::Result<Piece<'_>> {
        let place = self.window.place();
        loop {
            let unread = self.window.unread();
            let line = memchr::memchr(b'\n', unread);
            let bytes = line.unwrap_or(unread.len());
            self.consume(bytes);
            if line.is_some() || !self.window.fill()? {
                return Ok(self.broken(place, Fault::NotJson));
            }
        }
    }

    /// Goes to the next line that has `{` behind exactly this much white space; without a number to the end of the input.
    fn resync(&mut self, indent: Option<u32>) -> io::Result<()> {
        self.blank = None;
        loop {
            while let Some(byte) = self.window.first() {
                if byte == b'{' && self.blank.is_some() && self.blank == indent {
                    return Ok(());
                }
                self.step_over(byte);
            }
            if !self.window.fill()? {
                return Ok(());
            }
        }
    }

    /// Skips white space and commas; the first byte that is something else.
    fn skip_between(&mut self) -> io::Result<Option<u8>> {
        loop {
            while let Some(byte) = self.window.first() {
                let between = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',') && self.level != Level::Tail;
                if !between {
                    return Ok(Some(byte));
                }
                self.step_over(byte);
            }
            if !self.window.fill()? {
                return Ok(None);
            }
        }
    }

    /// The length of `{"Records":[` when the input goes on with it.
    fn wrapper(&mut self) -> io::Result<Option<usize>> {
        loop {
            match match_wrapper(self.window.unread()) {
                Match::Yes(n) => return Ok(Some(n)),
                Match::No => return Ok(None),
                Match::Open if !self.window.fill()? => return Ok(None),
                Match::Open => {}
            }
        }
    }

    /// Passes over one byte between values.
    fn step_over(&mut self, byte: u8) {
        self.blank = match byte {
            b'\n' => Some(0),
            b' ' | b'\t' | b'\r' => self.blank.map(|n| n.saturating_add(1)),
            _ => None,
        };
        self.window.take(1);
    }

    fn consume(&mut self, bytes: usize) -> Range<usize> {
        if bytes > 0 {
            self.blank = None;
        }
        self.window.take(bytes)
    }
}

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
