//! The reserve: a file that is there to be removed.
//!
//! **Problem.** Dropping a day gives space back, and needs a new catalog first. On a disk without a free byte there is none, so that nothing
//! could be dropped and the disk would stay full for good.
//!
//! **Mechanism.** A small file keeps some space back. Where a catalog finds none, the file is removed and the catalog written in its place. Upkeep
//! makes the file again once there is room.
//!
//! **Limits.** Another process may take the space in between. A catalog that is larger than the reserve is not helped by it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{ErrorKind, Result};
use crate::lifecycle::live::catalog::Catalog;
use crate::storage::Storage;

/// The name of the file.
const RESERVE: &str = "reserve";
/// Its length: a catalog of some 700 segments, and what a file system needs beside.
const RESERVE_BYTES: u64 = 64 << 10;

/// Whether the file is there, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    kept: AtomicBool,
}

impl Reserve {
    /// Replaces the catalog of a directory, at the cost of the reserve where there is no other space.
    ///
    /// # Errors
    /// As [`Catalog::store`].
    pub(crate) fn store(&self, catalog: &Catalog, storage: &dyn Storage) -> Result<()> {
        let stored = catalog.store(storage);
        match &stored {
            Err(error) if error.kind() == ErrorKind::Full && storage.remove(RESERVE).is_ok() => {
                self.kept.store(false, Ordering::Relaxed);
                catalog.store(storage)
            }
            _ => stored,
        }
    }

    /// Makes the file where it is not there and there is room. Where there is none, the next call tries again.
    pub(crate) fn keep(&self, storage: &dyn Storage) {
        if !self.kept.load(Ordering::Relaxed) {
            self.kept.store(make(storage).is_ok(), Ordering::Relaxed);
        }
    }
}

fn make(storage: &dyn Storage) -> std::io::Result<()> {
    if let Ok(file) = storage.open(RESERVE)
        && file.length()? >= RESERVE_BYTES
    {
        return Ok(());
    }
    let made = storage.create(RESERVE).and_then(|file| file.allocate(RESERVE_BYTES));
    if made.is_err() {
        // What there is of it would only be in the way.
        let _unused = storage.remove(RESERVE);
    }
    made
}
