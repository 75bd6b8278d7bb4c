//! [`Overlay`]: a directory as it would be with another catalog, for reading alone.

use std::io;
use std::sync::Arc;

use crate::lifecycle::live::catalog::CATALOG;
use crate::storage::{File, ReadOnlyBytes, Storage};

/// A directory with a catalog that is not on disk. Every change is refused.
#[derive(Debug)]
pub(crate) struct Overlay {
    below: Arc<dyn Storage>,
    catalog: ReadOnlyBytes,
}

impl Overlay {
    /// The directory `below` with these bytes as its catalog.
    pub(crate) fn new(below: Arc<dyn Storage>, catalog: Vec<u8>) -> Overlay {
        Overlay { below, catalog: ReadOnlyBytes::new(catalog) }
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::PermissionDenied.into())
}

impl Storage for Overlay {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = self.below.list()?;
        names.retain(|name| name != CATALOG);
        names.push(CATALOG.to_owned());
        Ok(names)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if name == CATALOG { Ok(Arc::new(self.catalog.clone())) } else { self.below.open(name) }
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn sync_directory(&self) -> io::Result<()> {
        refused()
    }

    fn may_map(&self) -> bool {
        self.below.may_map()
    }
}
