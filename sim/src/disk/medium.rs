//! [`Medium`]: what is durable, and what is pending behind it.

use std::mem::take;

use super::image::{Fill, Image};
use super::operation::{Inode, Lost, Operation};

/// What is durable, and what is pending behind it.
#[derive(Debug, Clone)]
pub struct Medium {
    durable: Image,
    pending: Vec<Operation>,
    /// What never-written parts of durable files hold.
    fill: Fill,
}

impl Medium {
    /// A medium on which all of this is durable.
    #[must_use]
    pub fn of(durable: Image, fill: Fill) -> Medium {
        Medium { durable, pending: Vec::new(), fill }
    }

    /// What is durable.
    #[must_use]
    pub fn durable(&self) -> &Image {
        &self.durable
    }

    /// What is not, in the order in which it was done.
    #[must_use]
    pub fn pending(&self) -> &[Operation] {
        &self.pending
    }

    /// Takes note of the next operation.
    pub fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::Sync { inode } => self.settle(&|pending| pending.content_of() == Some(*inode)),
            Operation::SyncDirectory => self.settle(&Operation::is_of_names),
            Operation::FailedSync { inode, lost, seed } => self.gamble(*lost, *seed, &|pending| pending.content_of() == Some(*inode)),
            Operation::FailedSyncDirectory { lost, seed } => self.gamble(*lost, *seed, &Operation::is_of_names),
            _ => self.pending.push(operation.clone()),
        }
    }

    /// Makes some of what is pending durable.
    fn settle(&mut self, is_meant: &dyn Fn(&Operation) -> bool) {
        for operation in take(&mut self.pending) {
            if is_meant(&operation) {
                self.durable.apply(&operation, self.fill);
            } else {
                self.pending.push(operation);
            }
        }
    }

    /// What a failed sync leaves: nothing of it is pending any more, and some of it arrived.
    fn gamble(&mut self, lost: Lost, seed: u64, is_meant: &dyn Fn(&Operation) -> bool) {
        if lost == Lost::Kept {
            return;
        }
        let mut state = seed;
        for operation in take(&mut self.pending) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if !is_meant(&operation) {
                self.pending.push(operation);
            } else if state >> 62 == 0 {
                self.durable.apply(&operation, self.fill);
            }
        }
    }

    pub(super) fn durable_content(&self, inode: Inode) -> std::sync::Arc<Vec<u8>> {
        self.durable.shared(inode)
    }
}
