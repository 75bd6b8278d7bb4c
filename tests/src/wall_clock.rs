//! [`WallClock`]: the wall clock of a server, which a test sets while the server runs.
//!
//! `libfaketime` stands between the process and the system's clock and adds what a file says, which it reads at every look. The clock that cannot jump
//! is left alone, as it is when somebody sets the real one. Limits: needs the library (Debian's `faketime`) and a binary that is
//! linked with the C library at run time; the times of files are the real ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use trail_engine::id::Timestamp;

use crate::binary::{binary, clean};

/// A clock that is ahead of the real one, or behind it.
#[derive(Debug)]
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
    ahead_seconds: i64,
}

/// The library for programs with threads, wherever the system keeps it.
fn library() -> Option<PathBuf> {
    const NAME: &str = "faketime/libfaketimeMT.so.1";
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let below = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten().map(|entry| entry.path());
    below.chain(folders.iter().cloned()).map(|folder| folder.join(NAME)).find(|file| file.is_file())
}

impl WallClock {
    /// A clock that is right, with its file in a folder.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn new(folder: &Path) -> Result<WallClock, String> {
        let library = library().ok_or("libfaketime is not there (package `faketime`)")?;
        let mut clock = WallClock { library, file: folder.join("ahead"), ahead_seconds: 0 };
        clock.set(0);
        Ok(clock)
    }

    /// Sets it so many seconds ahead of the real one.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn set(&mut self, ahead_seconds: i64) {
        self.ahead_seconds = ahead_seconds;
        // Never half a number, at whatever moment it is read.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{ahead_seconds:+}\n")).and_then(|()| fs::rename(&new, &self.file)).unwrap();
    }

    /// What it shows.
    ///
    /// # Panics
    /// When the real one stands before 1970.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(real.as_nanos()).unwrap()).shift(self.ahead_seconds * 1_000_000_000)
    }

    /// The command of the binary under it.
    #[must_use]
    pub fn traild(&self) -> Command {
        let mut command = clean(Command::new(binary()));
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file).env("FAKETIME_NO_CACHE", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        command
    }

    /// Clears up behind a process that was killed: the library keeps something in shared memory for the children of each.
    pub fn clear_up(&self, process: u32) {
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            // It may not have come to that.
            let _ = fs::remove_file(format!("/dev/shm/{name}{process}"));
        }
    }
}
