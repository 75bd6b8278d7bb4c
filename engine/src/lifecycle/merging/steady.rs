//! [`SteadyFile`]: a large file that reaches the disk while it is written.
//!
//! A sync of a gigabyte at the end would hold up the syncs of the journal, and with them every caller, for seconds. Synced every few MiB,
//! the disk never has more than that in front of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::{File, View};

/// How much is written between two syncs.
const SYNC_BYTES: u64 = 8 << 20;

/// A file that is synced again and again while it grows.
#[derive(Debug)]
pub(crate) struct SteadyFile {
    file: Arc<dyn File>,
    unsynced: AtomicU64,
}

impl SteadyFile {
    pub(crate) fn new(file: Arc<dyn File>) -> SteadyFile {
        SteadyFile { file, unsynced: AtomicU64::new(0) }
    }
}

impl File for SteadyFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)?;
        let length = bytes.len() as u64;
        if self.unsynced.fetch_add(length, Ordering::Relaxed) + length >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync()
    }

    fn view(&self) -> io::Result<View> {
        self.file.view()
    }
}
