//! [`FileStorage`]: a directory of the operating system.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mapped;
use super::seam::{File, Storage, View};

/// The name of the file whose lock keeps a second process out.
const LOCK: &str = "LOCK";

/// A directory that this process alone has open for writing.
///
/// The directory is made with mode 0700 and files with 0600: audit events are nobody else's business. The lock is `flock`'s; it
/// goes with the process, however that ends.
#[derive(Debug)]
pub struct FileStorage {
    directory: PathBuf,
    handle: fs::File,
    read_only: bool,
    _lock: Option<fs::File>,
}

impl FileStorage {
    /// Opens a directory for writing, making it if it is not there, and locks it.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds the lock.
    pub fn open(directory: &Path) -> io::Result<FileStorage> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if let Some(parent) = directory.canonicalize()?.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
        let lock = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(directory.join(LOCK))?;
        lock.try_lock().map_err(|e| match e {
            fs::TryLockError::Error(e) => e,
            fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })?;
        Ok(FileStorage { directory: directory.to_owned(), handle: fs::File::open(directory)?, read_only: false, _lock: Some(lock) })
    }

    /// Opens a directory for reading, without a lock.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_read_only(directory: &Path) -> io::Result<FileStorage> {
        Ok(FileStorage { directory: directory.to_owned(), handle: fs::File::open(directory)?, read_only: true, _lock: None })
    }
}

impl Storage for FileStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            match entry.file_name().into_string() {
                Ok(name) if name != LOCK && entry.file_type()?.is_file() => names.push(name),
                _ => {}
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let path = self.directory.join(name);
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Arc::new(OsFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(!self.read_only).open(self.directory.join(name))?;
        Ok(Arc::new(OsFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

#[derive(Debug)]
struct OsFile {
    file: fs::File,
}

impl File for OsFile {
    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|m| m.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        // Unlike the other calls, which the standard library makes, this one has nobody who repeats it after a signal.
        let reserve = || rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, length);
        match rustix::io::retry_on_intr(reserve) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve; growing the file keeps the length, only the space is not promised.
            Err(rustix::io::Errno::OPNOTSUPP) if self.length()? < length => self.file.set_len(length),
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn view(&self) -> io::Result<View> {
        mapped::map(&self.file)
    }
}
