//! A disk in memory that can be copied, filled up, slowed down and broken.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex};

use trail_engine::View;
use trail_engine::storage::{File, Storage};

/// The bytes of a file; they outlive its name.
type Bytes = Arc<Mutex<Vec<u8>>>;

#[derive(Debug, Default)]
struct Faults {
    /// How many more syncs of files go well; `None`: all.
    syncs_left: Option<u64>,
    /// The most bytes that all files may have together.
    bytes_max: Option<u64>,
    /// Whether syncs wait.
    held: bool,
}

#[derive(Debug, Default)]
struct Disk {
    files: Mutex<BTreeMap<String, Bytes>>,
    faults: Mutex<Faults>,
    changed: Condvar,
}

impl Disk {
    fn room_for(&self, more: u64) -> io::Result<()> {
        let Some(most) = self.faults.lock().unwrap().bytes_max else { return Ok(()) };
        let used: u64 = self.files.lock().unwrap().values().map(|f| f.lock().unwrap().len() as u64).sum();
        if used + more > most { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// A flat directory in memory. Clones are the same directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Disk>);

impl Memory {
    /// A directory with these files.
    pub(crate) fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Memory {
        let memory = Memory::default();
        *memory.0.files.lock().unwrap() = files.into_iter().map(|(name, bytes)| (name, Arc::new(Mutex::new(bytes)))).collect();
        memory
    }

    /// All files as they are now: what a process that was killed leaves behind.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.files.lock().unwrap().iter().map(|(name, bytes)| (name.clone(), bytes.lock().unwrap().clone())).collect()
    }
}

impl Memory {
    /// From now on, so many syncs go well, and then one fails and all after it.
    pub(crate) fn fail_sync_after(&self, syncs: u64) {
        self.0.faults.lock().unwrap().syncs_left = Some(syncs);
    }

    /// The most bytes there is room for.
    pub(crate) fn limit(&self, bytes_max: Option<u64>) {
        self.0.faults.lock().unwrap().bytes_max = bytes_max;
    }

    /// Makes syncs wait, or lets them go on.
    pub(crate) fn hold_syncs(&self, held: bool) {
        self.0.faults.lock().unwrap().held = held;
        self.0.changed.notify_all();
    }
}

impl Storage for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.files.lock().unwrap().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let bytes = Bytes::default();
        self.0.files.lock().unwrap().insert(name.to_owned(), bytes.clone());
        Ok(Arc::new(MemoryFile { bytes, disk: self.0.clone() }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let bytes = self.0.files.lock().unwrap().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile { bytes, disk: self.0.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.files.lock().unwrap();
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.files.lock().unwrap().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    bytes: Bytes,
    disk: Arc<Disk>,
}

impl File for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let from = bytes.get(offset as usize..).and_then(|b| b.get(..buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(from);
        Ok(())
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<()> {
        let end = offset as usize + new.len();
        let more = end.saturating_sub(self.bytes.lock().unwrap().len());
        self.disk.room_for(more as u64)?;
        let mut bytes = self.bytes.lock().unwrap();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(new);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let more = length.saturating_sub(self.length()?);
        self.disk.room_for(more)?;
        let mut bytes = self.bytes.lock().unwrap();
        if (bytes.len() as u64) < length {
            bytes.resize(length as usize, 0);
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().truncate(length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let held = |faults: &mut Faults| faults.held;
        let mut faults = self.disk.changed.wait_while(self.disk.faults.lock().unwrap(), held).unwrap();
        match &mut faults.syncs_left {
            Some(0) => Err(io::Error::other("the medium failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn view(&self) -> io::Result<View> {
        Ok(View::new(self.bytes.lock().unwrap().clone()))
    }
}
