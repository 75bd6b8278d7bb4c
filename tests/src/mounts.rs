//! [`Mount`]: a small file system of its own for a test, gone when dropped.
//!
//! Limits: needs root, and for ext4 a loop device.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A mounted file system.
#[derive(Debug)]
pub struct Mount {
    place: PathBuf,
}

/// Runs a program of the system.
///
/// # Errors
/// What it said when it failed, or why it could not be started.
pub fn system(words: &[&str]) -> Result<String, String> {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().map_err(|e| format!("{}: {e}", words[0]))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(format!("{}: {}", words.join(" "), said(&output.stderr))) }
}

impl Mount {
    /// Memory with a limit: `size=1m`, `nr_inodes=20`.
    ///
    /// # Errors
    /// Why it cannot be mounted.
    pub fn tmpfs(place: &Path, options: &str) -> Result<Mount, String> {
        std::fs::create_dir_all(place).map_err(|e| e.to_string())?;
        system(&["mount", "-t", "tmpfs", "-o", options, "tmpfs", text(place)])?;
        Ok(Mount { place: place.to_owned() })
    }

    /// The file system of an image.
    ///
    /// # Errors
    /// Why it cannot be mounted.
    pub fn image(image: &Path, place: &Path) -> Result<Mount, String> {
        std::fs::create_dir_all(place).map_err(|e| e.to_string())?;
        system(&["mount", "-o", "loop", text(image), text(place)])?;
        Ok(Mount { place: place.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let start = Instant::now();
        while system(&["umount", text(&self.place)]).is_err() {
            // Lazily, when a failed test left a server on it.
            if std::thread::panicking() || start.elapsed() > Duration::from_secs(10) {
                let _ = system(&["umount", "-l", text(&self.place)]);
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Makes an image with an empty ext4 on it.
///
/// # Errors
/// Why it cannot be made.
pub fn ext4(image: &Path, bytes: u64) -> Result<(), String> {
    let file = std::fs::File::create(image).and_then(|file| file.set_len(bytes));
    file.map_err(|e| e.to_string())?;
    system(&["mkfs.ext4", "-q", "-F", text(image)]).map(drop)
}

/// A path as text; tests choose their own.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder for disks that are made and thrown away: in memory where there is such a place, because what is tested is what a disk
/// *may* keep, not how quick one is.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
