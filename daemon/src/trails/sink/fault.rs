//! [`Fault`]: why a delivery did not go well, and what to do about it.

use std::fmt;
use std::time::Duration;

/// What to do about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Try the same again later: the network, a busy or broken service.
    Later,
    /// Try again later, but somebody must mend something first: a wrong key, no such bucket.
    Setup,
    /// Try again with fewer events.
    TooLarge,
    /// These bytes will never be taken: they go to the dead letters.
    Refused,
}

/// Why a delivery did not go well. The message is for people: lower case, no full stop, no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What to do about it.
    pub kind: FaultKind,
    /// What happened, where, and what would mend it.
    pub message: String,
    /// How long the sink asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault of a kind.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), retry_after: None }
    }

    /// The same may go well later.
    #[must_use]
    pub fn later(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Later, message)
    }

    /// An operator must mend something.
    #[must_use]
    pub fn setup(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Setup, message)
    }

    /// These bytes will never be taken.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Refused, message)
    }

    /// The sink asked to be left alone for so long.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Fault {
        self.retry_after = wait;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
