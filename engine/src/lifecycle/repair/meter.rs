//! [`Meter`]: how far a look or a repair is, in bytes; and [`Metered`], a directory that tells it of what is read of the journal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::status::{OnStep, Step};
use crate::storage::{File, Storage, View};

/// Counts bytes and says how many there are to be.
pub(crate) struct Meter {
    on_step: OnStep,
    done: AtomicU64,
    total: AtomicU64,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("done", &self.done).field("total", &self.total).finish_non_exhaustive()
    }
}

impl Meter {
    /// Nothing done of nothing.
    pub(crate) fn new(on_step: OnStep) -> Meter {
        Meter { on_step, done: AtomicU64::new(0), total: AtomicU64::new(0) }
    }

    /// So much more is to come.
    pub(crate) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much more was done, of this. It never becomes more than what was expected: what is looked at twice counts once.
    pub(crate) fn pass(&self, about: &str, bytes: u64) {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes).min(total);
        (self.on_step)(Step { about, done, total });
    }

    /// All that was expected so far is done, whether it was counted or not.
    pub(crate) fn settle(&self) {
        self.done.store(self.total.load(Ordering::Relaxed), Ordering::Relaxed);
        self.pass("", 0);
    }
}

/// A directory whose journal files tell a meter what is read of them.
#[derive(Debug)]
pub(crate) struct Metered {
    pub(crate) below: Arc<dyn Storage>,
    pub(crate) meter: Arc<Meter>,
}

/// A journal file.
#[derive(Debug)]
struct MeteredFile {
    below: Arc<dyn File>,
    meter: Arc<Meter>,
    name: String,
}

impl Storage for Metered {
    fn list(&self) -> io::Result<Vec<String>> {
        self.below.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.below.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let below = self.below.open(name)?;
        if !name.starts_with("journal-") {
            return Ok(below);
        }
        Ok(Arc::new(MeteredFile { below, meter: self.meter.clone(), name: name.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.below.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.below.sync_directory()
    }

    fn may_map(&self) -> bool {
        self.below.may_map()
    }
}

impl File for MeteredFile {
    fn length(&self) -> io::Result<u64> {
        self.below.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.below.read_at(buffer, offset)?;
        self.meter.pass(&self.name, buffer.len() as u64);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.below.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.below.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.below.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.below.sync()
    }

    fn view(&self) -> io::Result<View> {
        self.below.view()
    }
}
