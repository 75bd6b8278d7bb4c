//! [`ByCalls`]: a directory of which nothing is mapped.
//!
//! A place that the medium cannot read ends a process that has it mapped (SIGBUS). Who looks for damage must outlive that: every
//! byte is asked for by a call, which gives an error with a name.

use std::io;
use std::sync::Arc;

use super::seam::{File, Storage};

/// The same directory, whose files are read by calls.
#[derive(Debug)]
pub(crate) struct ByCalls(pub(crate) Arc<dyn Storage>);

impl Storage for ByCalls {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn may_map(&self) -> bool {
        false
    }
}
