//! [`DirectoryTarget`]: batches straight into a data directory, without a server.

use std::path::Path;
use std::time::Duration;

use trail_engine::error::ErrorKind;
use trail_engine::options::Options;
use trail_engine::{AuditLog, Notice};

use super::batch::Batch;
use super::pipeline::Target;
use super::report::{Rejected, Stored};
use crate::cli::exit::Failure;
use crate::cli::terminal::interrupt::pause;
use crate::cli::terminal::output::tell;
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::text::printable;

/// How long to wait when the log cannot keep up; its flusher is at work.
const WAIT: Duration = Duration::from_millis(50);

/// A data directory as the place where events go. No server may run on it meanwhile.
#[derive(Debug)]
pub struct DirectoryTarget {
    log: AuditLog,
}

impl DirectoryTarget {
    /// Opens the log, or creates it.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub fn open(directory: &Path, options: Options) -> Result<DirectoryTarget, Failure> {
        let log = AuditLog::open(directory, options)?;
        log.on_notice(Box::new(|notice| match notice {
            Notice::Problem(text) | Notice::Note(text) => tell(format_args!("traild: {}", printable(text))),
            Notice::Over(_) => {}
        }));
        Ok(DirectoryTarget { log })
    }
}

impl Target for DirectoryTarget {
    fn store(&self, batch: &Batch, _progress: &Progress) -> Result<Stored, Failure> {
        loop {
            let (prepared, rejections) = self.log.prepare(&mut (0..batch.len()).map(|index| batch.event(index)))?;
            let receipt = match self.log.append(prepared) {
                Err(busy) if busy.kind() == ErrorKind::Busy => {
                    // Also after an interruption: what was read is stored, as the log is sure to come round.
                    pause(WAIT);
                    continue;
                }
                receipt => receipt?,
            };
            let rejected = rejections.into_iter().map(|r| Rejected { index: r.index, code: r.code.to_owned(), message: r.message });
            return Ok(Stored { accepted: receipt.accepted, duplicates: receipt.duplicates, rejected: rejected.collect(), unnamed: 0 });
        }
    }

    fn finish(&self, progress: &Progress) -> Result<(), Failure> {
        progress.about("writing the last segment");
        self.log.flush()?;
        self.log.close()?;
        Ok(())
    }
}
