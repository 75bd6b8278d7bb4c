//! A directory of given files, and a log opened on it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use trail_engine::clock::SystemClock;
use trail_engine::storage::{File, ReadOnlyBytes, Storage};
use trail_engine::{AuditLog, Options, Result};

/// Files in memory, for reading.
#[derive(Debug, Default)]
pub struct Files(Mutex<BTreeMap<String, ReadOnlyBytes>>);

/// Opens a log, for reading alone, on a directory with these files.
pub fn open(files: &[(&str, &[u8])]) -> Result<AuditLog> {
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), ReadOnlyBytes::new(bytes.to_vec()))).collect();
    let options = Options { read_only: true, ..Options::default() };
    AuditLog::open_storage(Arc::new(Files(Mutex::new(files))), options, Arc::new(SystemClock::new()))
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::PermissionDenied.into())
}

impl Storage for Files {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        match self.0.lock().unwrap().get(name) {
            Some(file) => Ok(Arc::new(file.clone())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
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
}
