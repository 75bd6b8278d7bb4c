//! [`Live`]: what is known of a sink while it works, for the status page.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use trail_engine::id::{Sequence, Timestamp};

use crate::trails::sink::fault::{Fault, FaultKind};

/// Something that went wrong with a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened, and what would mend it.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// Whether somebody must mend something first.
    pub needs_operator: bool,
}

/// What is known of a sink while it works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Now {
    /// Everything up to here that matches is in the sink. Runs ahead of what is kept by what need not be read again.
    pub position: Sequence,
    /// What went wrong last, also when it is over.
    pub last_trouble: Option<Trouble>,
    /// How many attempts failed in a row.
    pub failures: u32,
    /// When the next attempt is.
    pub next_retry_at: Option<Timestamp>,
}

/// The same, shared between a worker and whoever asks.
#[derive(Debug, Default)]
pub struct Live(Mutex<Now>);

impl Live {
    /// As it is now.
    #[must_use]
    pub fn now(&self) -> Now {
        self.change(|now| now.clone())
    }

    /// The position moved on.
    pub fn reached(&self, position: Sequence) {
        self.change(|now| now.position = position);
    }

    /// An attempt went well.
    pub fn went_well(&self) {
        self.change(|now| (now.failures, now.next_retry_at) = (0, None));
    }

    /// An attempt failed.
    pub fn failed(&self, fault: &Fault, at: Timestamp, failures: u32, wait: Duration) {
        self.trouble(&fault.message, at, fault.kind == FaultKind::Setup);
        let wait = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
        self.change(|now| (now.failures, now.next_retry_at) = (failures, Some(at.shift(wait))));
    }

    /// Something went wrong that no attempt will mend.
    pub fn trouble(&self, message: &str, at: Timestamp, needs_operator: bool) {
        self.change(|now| now.last_trouble = Some(Trouble { message: message.to_owned(), at, needs_operator }));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
