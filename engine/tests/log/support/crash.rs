//! A disk that stops at a chosen operation, and knows what a loss of power would leave of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use trail_engine::View;
use trail_engine::storage::{File, Storage};

use crate::support::memory::Memory;

/// The bytes of a file: as they are, and as they were when it was last synced.
#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

type Shared = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, Shared>,
    synced_names: BTreeMap<String, Shared>,
    operations_left: u64,
    has_failed: bool,
}

/// A directory whose operations fail from a chosen one on. Clones are the same directory.
#[derive(Debug, Clone)]
pub(crate) struct CrashDisk(Arc<Mutex<State>>);

impl CrashDisk {
    /// A disk with these files, all of them durable, on which so many changes go well.
    pub(crate) fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>, operations: u64) -> CrashDisk {
        let content = |bytes: Vec<u8>| Arc::new(Mutex::new(Content { now: bytes.clone(), synced: bytes }));
        let names: BTreeMap<String, Shared> = files.into_iter().map(|(name, bytes)| (name, content(bytes))).collect();
        CrashDisk(Arc::new(Mutex::new(State { synced_names: names.clone(), names, operations_left: operations, has_failed: false })))
    }

    /// Whether an operation was refused.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.lock().unwrap().has_failed
    }

    /// What a killed process leaves, or with `power_lost` only what was synced.
    pub(crate) fn left(&self, power_lost: bool) -> Memory {
        let state = self.0.lock().unwrap();
        let names = if power_lost { &state.synced_names } else { &state.names };
        let bytes = |content: &Shared| {
            let content = content.lock().unwrap();
            if power_lost { content.synced.clone() } else { content.now.clone() }
        };
        Memory::of(names.iter().map(|(name, content)| (name.clone(), bytes(content))))
    }

    /// Counts a change; fails from the chosen one on.
    fn change(&self) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.0.lock().unwrap();
        match state.operations_left.checked_sub(1) {
            Some(left) => {
                state.operations_left = left;
                Ok(state)
            }
            None => {
                state.has_failed = true;
                Err(io::Error::other("the disk has stopped"))
            }
        }
    }

    fn file(&self, content: &Shared) -> Arc<dyn File> {
        Arc::new(CrashFile { content: content.clone(), disk: self.clone() })
    }
}

impl Storage for CrashDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let content = Shared::default();
        self.change()?.names.insert(name.to_owned(), content.clone());
        Ok(self.file(&content))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let content = self.0.lock().unwrap().names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&content))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.change()?;
        let content = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change()?.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.change()?;
        state.synced_names = state.names.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct CrashFile {
    content: Shared,
    disk: CrashDisk,
}

impl File for CrashFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let content = self.content.lock().unwrap();
        let from = content.now.get(offset as usize..).and_then(|b| b.get(..buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(from);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        drop(self.disk.change()?);
        let (mut content, end) = (self.content.lock().unwrap(), offset as usize + bytes.len());
        let length = content.now.len().max(end);
        content.now.resize(length, 0);
        content.now[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        drop(self.disk.change()?);
        let mut content = self.content.lock().unwrap();
        let length = content.now.len().max(length as usize);
        content.now.resize(length, 0);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        drop(self.disk.change()?);
        self.content.lock().unwrap().now.truncate(length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.disk.change()?);
        let mut content = self.content.lock().unwrap();
        content.synced = content.now.clone();
        Ok(())
    }

    fn view(&self) -> io::Result<View> {
        Ok(View::new(self.content.lock().unwrap().now.clone()))
    }
}
