//! [`Report`]: what became of the input.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use super::batch::Origin;
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::text::{counted, printable, thousands};

/// How many rejected events are named on the terminal: as many as the server names in an answer.
const NAMED_MAX: u64 = 100;

/// What a target did with a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Events that are stored now.
    pub accepted: u64,
    /// Events that were stored before.
    pub duplicates: u64,
    /// Events that are not stored, as far as they are named.
    pub rejected: Vec<Rejected>,
    /// Rejected events that nobody named.
    pub unnamed: u64,
}

impl Stored {
    /// Adds what became of further events.
    pub fn add(&mut self, other: Stored) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.unnamed += other.unnamed;
        self.rejected.extend(other.rejected);
    }
}

/// An event of a batch that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its number in the batch.
    pub index: usize,
    /// The class, for programs.
    pub code: String,
    /// The reason, for people.
    pub message: String,
}

/// Counts, and names what was rejected.
#[derive(Debug, Default)]
pub struct Report {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    rejects: Option<BufWriter<File>>,
    rejects_failed: bool,
}

impl Report {
    /// A report that also writes every rejected event to a file, when one is named.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(rejects: Option<&Path>) -> Result<Report, Failure> {
        let create = |path: &Path| File::create(path).map_err(|e| Failure::usage(format!("cannot write {}: {e}", path.display())));
        Ok(Report { rejects: rejects.map(create).transpose()?.map(BufWriter::new), ..Report::default() })
    }

    /// Counts what was stored.
    pub fn stored(&mut self, stored: &Stored) {
        self.accepted += stored.accepted;
        self.duplicates += stored.duplicates;
        self.rejected += stored.unnamed;
    }

    /// Counts and names something that was rejected.
    pub fn rejected(&mut self, origin: &Origin, code: &str, message: &str, progress: &Progress) {
        self.rejected += 1;
        let (name, place) = (&origin.input, origin.place);
        if self.rejected <= NAMED_MAX {
            progress.say(&printable(&format!("rejected: {name}:{} (byte {}): {message}", place.line, place.byte)));
        }
        if let Some(file) = &mut self.rejects {
            let line = serde_json::json!({"file": &**name, "line": place.line, "byte": place.byte, "code": code, "message": message});
            // Said once, at the end: the import itself goes on.
            self.rejects_failed |= writeln!(file, "{line}").is_err();
        }
    }

    /// The line that sums up.
    #[must_use]
    pub fn summary(&self, time: Duration) -> String {
        let seconds = time.as_secs_f64();
        let handled = self.accepted + self.duplicates;
        let rate = handled as f64 / seconds.max(0.001);
        format!(
            "{} accepted, {}, {} rejected in {seconds:.1} s ({} events/s)",
            counted(self.accepted, "event"),
            counted(self.duplicates, "duplicate"),
            thousands(self.rejected),
            thousands(rate as u64)
        )
    }

    /// Writes out what is left and says how it ended.
    ///
    /// # Errors
    /// When the file of rejected events is not complete.
    pub fn finish(&mut self, progress: &Progress) -> Result<Exit, Failure> {
        if self.rejected > NAMED_MAX {
            let hint = if self.rejects.is_some() { "" } else { " (--rejects FILE writes all of them)" };
            progress.say(&format!("... and {} more{hint}", thousands(self.rejected - NAMED_MAX)));
        }
        let flushed = self.rejects.as_mut().map_or(Ok(()), Write::flush);
        if flushed.is_err() || self.rejects_failed {
            return Err(Failure::usage("the file of rejected events is not complete: writing to it failed"));
        }
        Ok(if self.rejected > 0 { Exit::Rejected } else { Exit::Ok })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::piece::Place;

    #[test]
    fn sums_up_and_writes_all_rejects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects");
        let mut report = Report::new(Some(&path)).unwrap();
        let progress = Progress::new(None);
        assert_eq!(report.finish(&progress), Ok(Exit::Ok));
        report.stored(&Stored { accepted: 1_200, duplicates: 3, ..Stored::default() });
        for line in 1..=130 {
            let origin = Origin { input: "a\u{1b}b".into(), place: Place { line, byte: 7 } };
            report.rejected(&origin, "invalid_json", "expected `,`", &progress);
        }
        assert_eq!(report.finish(&progress), Ok(Exit::Rejected));
        assert_eq!(report.summary(Duration::from_secs(2)), "1,200 events accepted, 3 duplicates, 130 rejected in 2.0 s (601 events/s)");
        let one = Report { accepted: 1, duplicates: 1, ..Report::default() };
        assert_eq!(one.summary(Duration::from_secs(2)), "1 event accepted, 1 duplicate, 0 rejected in 2.0 s (1 events/s)");
        let lines: Vec<serde_json::Value> =
            std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 130);
        assert_eq!((&lines[129]["line"], &lines[129]["code"]), (&130.into(), &"invalid_json".into()));
    }
}
