//! Where answers go: standard output, whose reader may leave at any time.

use std::io::{self, IsTerminal, StdoutLock, Write};

use serde::{Deserialize, Serialize};

use crate::cli::exit::Failure;
use crate::cli::terminal::text::{printable, printable_json};

/// The width of a table where no terminal says otherwise.
const PIPE_CELLS: usize = 160;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: JSON, one value a line.
    Json,
}

/// Says something on standard error. A reader that has left is no reason to fail.
pub fn tell(text: impl std::fmt::Display) {
    let _gone = writeln!(io::stderr(), "{text}");
}

/// What an answer lacks, as the server says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Gap {
    /// The file.
    pub part: String,
    /// The first sequence that is missing.
    pub first_sequence: u64,
    /// The last.
    pub last_sequence: u64,
    /// How many events are missing.
    pub events: u64,
}

/// Says on standard error that an answer is not all.
pub fn tell_incomplete<'a>(gaps: impl IntoIterator<Item = &'a Gap>) {
    for gap in gaps {
        let Gap { part, first_sequence, last_sequence, events } = gap;
        let part = printable(part);
        tell(format_args!(
            "traild: incomplete: {events} events of the sequences {first_sequence} to {last_sequence} cannot be read ({part})"
        ));
    }
}

/// Standard output, buffered; a reader that leaves ends the command quietly.
#[derive(Debug)]
pub struct Output {
    out: io::BufWriter<StdoutLock<'static>>,
    /// Whether somebody looks at it.
    pub terminal: bool,
}

impl Output {
    /// Takes standard output.
    #[must_use]
    pub fn new() -> Output {
        Output { out: io::BufWriter::with_capacity(64 << 10, io::stdout().lock()), terminal: io::stdout().is_terminal() }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// The quiet failure when nobody reads any more.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text).and_then(|()| self.write("\n"))
    }

    /// Writes a JSON text as one line: verbatim into a pipe, harmless on a terminal.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json_line(&mut self, json: &str) -> Result<(), Failure> {
        if self.terminal {
            return self.line(&printable_json(json));
        }
        if json.contains(['\n', '\r']) {
            // A line break in JSON is white space between tokens; one event must stay one line.
            return self.line(&json.replace(['\n', '\r'], " "));
        }
        self.line(json)
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(|e| Failure::output(&e))
    }

    /// Hands everything on.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|e| Failure::output(&e))
    }
}

impl Default for Output {
    fn default() -> Output {
        Output::new()
    }
}

/// Writes a whole answer: as one line of JSON, or as the lines that people get in so many cells.
///
/// # Errors
/// As [`Output::line`].
pub fn show<A: Serialize>(answer: &A, json: bool, lines: impl FnOnce(&A, usize) -> Vec<String>) -> Result<(), Failure> {
    let mut output = Output::new();
    if json {
        let json = serde_json::to_string(answer).map_err(|e| Failure::usage(format!("cannot write the answer: {e}")))?;
        output.json_line(&json)?;
    } else {
        lines(answer, cells()).iter().try_for_each(|line| output.line(line))?;
    }
    output.flush()
}

/// How many cells a line of standard output may have.
#[must_use]
pub fn cells() -> usize {
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|&n| n > 0);
    terminal.unwrap_or(PIPE_CELLS)
}
