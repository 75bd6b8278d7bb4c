//! [`Splitter`]: cuts a stream of JSON into its events, one at a time, in bounded memory.
//!
//! A stream is any sequence of objects (one a line, run together, or spread over lines), arrays of objects, and
//! CloudTrail's `{"Records":[...]}`. However large an array or a file is, the splitter holds one event and a read-ahead.
//! An event over the limit is passed over without being held. Behind a broken event the splitter goes on with the next
//! `{` that is indented as the broken one was; inside an array that is all on one line nothing tells events apart any more, and the
//! rest is given up.

use std::io::{self, Read};

use super::scan::{Fault, Scanner, Step};

/// How much is read ahead, in bytes.
const READ_BYTES: usize = 256 << 10;

/// How far `{"Records":[` may stretch, white space included.
const WRAPPER_BYTES_MAX: usize = 256;

/// Where something is in the (decompressed) input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The byte, from 0.
    pub byte: u64,
}

/// What comes next in the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A value that is complete by its brackets; it has not been validated.
    Element {
        /// Its bytes as they came.
        bytes: &'a [u8],
        /// Its first byte.
        place: Place,
    },
    /// A stretch that is no event.
    Broken {
        /// Its first byte.
        place: Place,
        /// Where reading goes on.
        until: Place,
        /// What is wrong.
        fault: Fault,
    },
}

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
    input: R,
    buffer: Vec<u8>,
    /// What is unread in `buffer`: from `start` up to `end`.
    start: usize,
    end: usize,
    place: Place,
    /// White space since the line began, as long as there is nothing else.
    blank: Option<u32>,
    level: Level,
    event_bytes_max: usize,
}

impl<R: Read> Splitter<R> {
    /// A splitter that passes over elements of more than `event_bytes_max` bytes.
    pub fn new(input: R, event_bytes_max: usize) -> Splitter<R> {
        let buffer = vec![0; event_bytes_max.saturating_add(READ_BYTES)];
        let place = Place { line: 1, byte: 0 };
        Splitter { input, buffer, start: 0, end: 0, place, blank: Some(0), level: Level::Top, event_bytes_max }
    }

    /// Where reading has come to.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The next piece; `None` at the end of the input.
    ///
    /// # Errors
    /// What the input returns; what was read before has been given out.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
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
                    let place = self.place;
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
        (level != Level::Top).then(|| self.broken(self.place, Fault::EndOfInput))
    }

    fn broken(&self, place: Place, fault: Fault) -> Piece<'_> {
        Piece::Broken { place, until: self.place, fault }
    }

    /// One value, and how to go on when it is broken.
    fn element(&mut self) -> io::Result<Piece<'_>> {
        let indent = self.blank;
        let (bytes, fault, place) = self.walk(Scanner::new(indent))?;
        let Some(fault) = fault else {
            return Ok(match self.buffer.get(bytes) {
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
    fn walk(&mut self, mut scanner: Scanner) -> io::Result<(std::ops::Range<usize>, Option<Fault>, Place)> {
        let place = self.place;
        let (mut scanned, mut too_large) = (0, false);
        loop {
            let unread = self.buffer.get(self.start + scanned..self.end).unwrap_or_default();
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
                    if self.fill()? {
                        continue;
                    }
                    Some(Fault::EndOfInput)
                }
            };
            too_large |= scanned > self.event_bytes_max;
            let bytes = self.start..self.start + scanned;
            self.consume(scanned);
            return Ok((bytes, fault.or(too_large.then_some(Fault::TooLarge)), place));
        }
    }

    /// A line of the stream that begins with neither `{` nor `[`.
    fn stray_line(&mut self) -> io::Result<Piece<'_>> {
        let place = self.place;
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            let line = memchr::memchr(b'\n', unread);
            self.consume(line.unwrap_or(unread.len()));
            if line.is_some() || !self.fill()? {
                return Ok(self.broken(place, Fault::NotJson));
            }
        }
    }

    /// Goes to the next line that has `{` behind exactly this much white space; without a number to the end of the input.
    fn resync(&mut self, indent: Option<u32>) -> io::Result<()> {
        self.blank = None;
        loop {
            while let Some(&byte) = self.buffer.get(self.start..self.end).and_then(<[u8]>::first) {
                if byte == b'{' && self.blank.is_some() && self.blank == indent {
                    return Ok(());
                }
                self.step_over(byte);
            }
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Skips white space and commas (and at the very start a byte order mark); the first byte that is something else.
    fn skip_between(&mut self) -> io::Result<Option<u8>> {
        loop {
            while let Some(&byte) = self.buffer.get(self.start..self.end).and_then(<[u8]>::first) {
                let between = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',') && self.level != Level::Tail;
                let mark = self.place.byte < 3 && matches!(byte, 0xEF | 0xBB | 0xBF);
                if !between && !mark {
                    return Ok(Some(byte));
                }
                self.step_over(byte);
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The length of `{"Records":[` when the input goes on with it.
    fn wrapper(&mut self) -> io::Result<Option<usize>> {
        loop {
            let end = self.end.min(self.start + WRAPPER_BYTES_MAX);
            let unread = self.buffer.get(self.start..end).unwrap_or_default();
            match match_wrapper(unread) {
                Match::Yes(n) => return Ok(Some(n)),
                Match::No => return Ok(None),
                Match::Open if unread.len() == WRAPPER_BYTES_MAX => return Ok(None),
                Match::Open => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Passes over one byte between values.
    fn step_over(&mut self, byte: u8) {
        self.start += 1;
        self.place.byte += 1;
        self.blank = match byte {
            b'\n' => Some(0),
            b' ' | b'\t' | b'\r' => self.blank.map(|n| n.saturating_add(1)),
            0xEF | 0xBB | 0xBF if self.place.byte <= 3 => self.blank,
            _ => None,
        };
        self.place.line += u64::from(byte == b'\n');
    }

    fn consume(&mut self, bytes: usize) {
        let passed = self.buffer.get(self.start..self.start + bytes).unwrap_or_default();
        self.place.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.place.byte += passed.len() as u64;
        self.start += passed.len();
        if bytes > 0 {
            self.blank = None;
        }
    }

    /// Reads more; `false` at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
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

enum Match {
    Yes(usize),
    No,
    /// The bytes end before it is known.
    Open,
}

/// Whether bytes begin with `{"Records":[`, with white space anywhere between.
fn match_wrapper(bytes: &[u8]) -> Match {
    let mut at = 0;
    for token in [b"{".as_slice(), b"\"Records\"", b":", b"["] {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        if !rest.starts_with(token) {
            return if token.starts_with(rest) { Match::Open } else { Match::No };
        }
        at += token.len();
    }
    Match::Yes(at)
}

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
