//! [`Scanner`]: finds the end of one JSON value in bytes that come piece by piece.
//!
//! It counts brackets outside of strings and does not recurse, so nesting costs nothing and cannot overflow. It does not
//! validate: what it must know is only where a value ends, and when a value can no longer end because it is broken. Two
//! things show that: a line break inside a string (JSON has none), and a `{` at the start of a line where no value may
//! stand. Both let a reader go on behind a broken event instead of losing the rest of a file.

use std::fmt;

/// Why something between two events is not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Longer than an event may be.
    TooLarge,
    /// A string is still open at the end of its line.
    OpenString,
    /// The next event begins before this one is closed.
    Unclosed,
    /// The input ends inside of it.
    EndOfInput,
    /// Neither an object nor an array.
    NotJson,
}

impl Fault {
    /// The word for programs, as the server uses it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Fault::TooLarge => "too_large",
            _ => "invalid_json",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::TooLarge => "longer than the 1 MiB that an event may have",
            Fault::OpenString => "a string is not closed at the end of its line",
            Fault::Unclosed => "the next event begins before this one is closed",
            Fault::EndOfInput => "the input ends before it is closed",
            Fault::NotJson => "expected a JSON object",
        })
    }
}

/// What a look at more bytes has shown. Positions count from the start of those bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The value goes on behind these bytes.
    More,
    /// The value ends before this position.
    End(usize),
    /// The value is broken; the first byte behind it is here.
    Broken(usize, Fault),
}

/// The state between two pieces of one value.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Open brackets.
    depth: u64,
    /// One bit for each of the innermost 128 open brackets: whether it is an array.
    arrays: u128,
    /// Whether more than 128 brackets were ever open, so that `arrays` has lost bits.
    deep: bool,
    in_string: bool,
    escaped: bool,
    /// The last byte outside of strings that is no white space.
    last: u8,
    /// How far the value is indented, when it is the first on its line.
    indent: Option<u32>,
    /// White space since the line began, as long as there is nothing else.
    blank: Option<u32>,
}

impl Scanner {
    /// For a value whose first byte comes next, and which is indented this far when it is the first on its line.
    pub(super) fn new(indent: Option<u32>) -> Scanner {
        Scanner { depth: 0, arrays: 0, deep: false, in_string: false, escaped: false, last: b',', indent, blank: None }
    }

    /// For the rest of an object that is already open.
    pub(super) fn inside_object() -> Scanner {
        Scanner { depth: 1, ..Scanner::new(None) }
    }

    /// Looks at the next bytes of the value.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let step = if self.in_string { self.scan_string(rest) } else { self.scan_plain(rest) };
            match step {
                (n, None) => at += n,
                (n, Some(Step::End(_))) => return Step::End(at + n),
                (n, Some(Step::Broken(_, fault))) => return Step::Broken(at + n, fault),
                (_, Some(Step::More)) => return Step::More,
            }
        }
        Step::More
    }

    /// Reads to the end of the string, or of the bytes.
    fn scan_string(&mut self, bytes: &[u8]) -> (usize, Option<Step>) {
        if self.escaped {
            self.escaped = false;
            // An escaped line break is as illegal as a bare one, and must end the string as well.
            return if bytes.first() == Some(&b'\n') { (0, Some(Step::Broken(0, Fault::OpenString))) } else { (1, None) };
        }
        let Some(n) = memchr::memchr3(b'"', b'\\', b'\n', bytes) else { return (bytes.len(), None) };
        match bytes.get(n) {
            Some(b'\\') => {
                self.escaped = true;
                (n + 1, None)
            }
            Some(b'"') => {
                self.in_string = false;
                self.last = b'"';
                (n + 1, (self.depth == 0).then_some(Step::End(0)))
            }
            _ => (n, Some(Step::Broken(0, Fault::OpenString))),
        }
    }

    /// Reads up to the next string, bracket that matters, or the end of the bytes.
    fn scan_plain(&mut self, bytes: &[u8]) -> (usize, Option<Step>) {
        for (i, &byte) in bytes.iter().enumerate() {
            match byte {
                b'"' if self.depth == 0 && self.last != b',' => return (i, Some(Step::End(0))),
                b'"' => {
                    self.in_string = true;
                    self.blank = None;
                    return (i + 1, None);
                }
                b'{' | b'[' if self.depth == 0 && self.last != b',' => return (i, Some(Step::End(0))),
                b'{' if self.begins_another() => return (i, Some(Step::Broken(0, Fault::Unclosed))),
                b'{' | b'[' => self.open(byte == b'['),
                b'}' | b']' if self.depth == 0 => return (i, Some(Step::End(0))),
                b'}' | b']' => {
                    self.close();
                    if self.depth == 0 {
                        return (i + 1, Some(Step::End(0)));
                    }
                }
                b'\n' | b' ' | b'\t' | b'\r' | b',' if self.depth == 0 => return (i, Some(Step::End(0))),
                b'\n' => {
                    self.blank = Some(0);
                    continue;
                }
                b' ' | b'\t' | b'\r' => {
                    self.blank = self.blank.map(|n| n.saturating_add(1));
                    continue;
                }
                _ => {}
            }
            self.blank = None;
            self.last = byte;
        }
        (bytes.len(), None)
    }

    fn open(&mut self, array: bool) {
        self.depth = self.depth.saturating_add(1);
        self.deep |= self.depth > 128;
        self.arrays = (self.arrays << 1) | u128::from(array);
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.arrays >>= 1;
    }

    /// Whether a `{` here starts the next event: it stands where this one began in its own line, and no value may stand here.
    fn begins_another(&self) -> bool {
        let may_stand = match self.last {
            b'[' | b':' => true,
            b',' => self.deep || self.depth == 0 || self.arrays & 1 == 1,
            _ => false,
        };
        !may_stand && self.blank.is_some() && self.blank == self.indent
    }
}
