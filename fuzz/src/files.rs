//! A directory of given files, and a log opened on it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use trail_engine::clock::SystemClock;
use trail_engine::storage::{File, Storage};
use trail_engine::{AuditLog, Options, Result, View};

/// Files in memory, for reading.
#[derive(Debug, Default)]
pub struct Files(Mutex<BTreeMap<String, Arc<Bytes>>>);

/// The bytes of a file.
#[derive(Debug)]
pub struct Bytes(Vec<u8>);

/// Opens a log, for reading alone, on a directory with these files.
pub fn open(files: &[(&str, &[u8])]) -> Result<AuditLog> {
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), Arc::new(Bytes(bytes.to_vec())))).collect();
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
            Some(file) => Ok(file.clone()),
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

impl File for Bytes {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = usize::try_from(offset).ok().and_then(|from| self.0.get(from..)).and_then(|b| b.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
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
