//! [`Peer`]: what is asked of each of them, whatever it is: a server, a process that holds a library, a command line.

use std::path::Path;
use std::time::Duration;

use trail_rig::{Disk, Result};

use crate::question::{Question, Reply};

/// An answer, and how long it took.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) time: Duration,
    pub(crate) reply: Reply,
}

/// What the kernel says about its processes; `None` where it cannot be known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    /// Since they were started.
    pub(crate) cpu_seconds: Option<f64>,
    /// The most they had at a time, in bytes.
    pub(crate) peak_memory: Option<u64>,
}

/// One that stores and answers. It holds what it needs, and leaves no process behind when it is dropped.
pub(crate) trait Peer {
    /// For the table: name and version.
    fn name(&self) -> String;

    /// How it was run, for the notes below the table.
    fn note(&self) -> String;

    /// Stores all events of a file, one a line; returns when they are stored as safely as it makes them.
    ///
    /// # Errors
    /// When any event is not stored.
    fn store(&mut self, file: &Path) -> Result<()>;

    /// Waits until nothing is left to do in the background.
    ///
    /// # Errors
    /// When that does not end.
    fn settle(&mut self) -> Result<()>;

    /// Asks; `None` when it has no way to answer that.
    ///
    /// # Errors
    /// When there is no answer that can be read.
    fn ask(&mut self, question: &Question) -> Result<Option<Timed>>;

    /// What its processes used.
    fn account(&self) -> Account;

    /// What it has on disk; `None` when that cannot be known.
    ///
    /// # Errors
    /// When its files cannot be looked at.
    fn disk(&self) -> Result<Option<Disk>>;
}
