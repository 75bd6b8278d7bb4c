//! [`Overlay`]: a directory as it would be with another catalog, for reading alone.

use std::io;
use std::sync::Arc;

use crate::lifecycle::live::catalog::CATALOG;
use crate::storage::{File, Storage, View};

/// A directory with a catalog that is not on disk. Every change is refused.
#[derive(Debug)]
pub(crate) struct Overlay {
    below: Arc<dyn Storage>,
    catalog: Arc<Held>,
}

/// Bytes as a file.
#[derive(Debug)]
struct Held(Vec<u8>);

impl Overlay {
    /// The directory `below` with these bytes as its catalog.
    pub(crate) fn new(below: Arc<dyn Storage>, catalog: Vec<u8>) -> Overlay {
        Overlay { below, catalog: Arc::new(Held(catalog)) }
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
        if name == CATALOG { Ok(self.catalog.clone()) } else { self.below.open(name) }
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

impl File for Held {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|from| self.0.get(from..)).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        refused()
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }

    fn view(&self) -> io::Result<View> {
        Ok(View::new(self.0.clone()))
    }
}
