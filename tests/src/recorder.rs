//! [`Recorder`]: an ext4 whose every write and flush is written down, in order, below the file system.
//!
//! `qemu-storage-daemon` gives an image as a file of its own (FUSE), which a loop device makes a disk; its `blklogwrites` driver copies
//! each request into a second file in the format of the kernel's dm-log-writes. So the disk is a real one to ext4, and what a power cut
//! may leave of it can be made afterwards ([`crate::power`]). Limits: needs root, `/dev/fuse` and a loop device; the file system must have
//! been made before.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::mounts::{Mount, system, text};

const PROGRAM: &str = "qemu-storage-daemon";
/// How long the program may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mounted image that is recorded; ends when dropped.
#[derive(Debug)]
pub struct Recorder {
    // In this order: the file system goes before what it stands on.
    mount: Option<Mount>,
    child: Child,
    log: File,
}

impl Recorder {
    /// Mounts the image under a folder of its own, which then has `exported.img`, `writes.log` and `disk`. The image takes the writes.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn begin(image: &Path, folder: &Path) -> Result<Recorder, String> {
        let wrong = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(wrong)?;
        let (exported, log) = (folder.join("exported.img"), folder.join("writes.log"));
        File::create(&exported).and_then(|_| File::create(&log)).map_err(wrong)?;
        let errors = File::create(folder.join("errors")).map_err(wrong)?;
        let mut command = Command::new(PROGRAM);
        command.args(["--blockdev", &format!("driver=file,node-name=image,filename={}", text(image))]);
        command.args(["--blockdev", &format!("driver=file,node-name=log,filename={}", text(&log))]);
        command.args(["--blockdev", "driver=blklogwrites,node-name=recorded,file=image,log=log,log-sector-size=512"]);
        command.args(["--export", &format!("type=fuse,id=export,node-name=recorded,mountpoint={},writable=on", text(&exported))]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().map_err(|e| format!("{PROGRAM}: {e}"))?;
        let mut recorder = Recorder { mount: None, child, log: File::open(&log).map_err(wrong)? };
        let length = fs::metadata(image).map_err(wrong)?.len();
        let start = Instant::now();
        while fs::metadata(&exported).map_err(wrong)?.len() != length {
            let ended = recorder.child.try_wait().map_err(wrong)?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                return Err(format!("{PROGRAM}: {}", fs::read_to_string(folder.join("errors")).unwrap_or_default().trim()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        recorder.mount = Some(Mount::image(&exported, &folder.join("disk"))?);
        Ok(recorder)
    }

    /// Where it is mounted.
    ///
    /// # Panics
    /// Never: it is mounted until it ends.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.mount.as_ref().expect("it is mounted").place()
    }

    /// How many requests are written down, up to the last flush at least. What is on the disk by a flush that has returned is among
    /// these.
    ///
    /// # Panics
    /// When the log cannot be read.
    #[must_use]
    pub fn requests(&self) -> usize {
        let mut count = [0; 8];
        // Magic, version, number of entries, length of a sector.
        match self.log.read_exact_at(&mut count, 16) {
            Ok(()) => usize::try_from(u64::from_le_bytes(count)).unwrap(),
            Err(_) => 0,
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.mount.take());
        // On SIGTERM it takes its file away and writes the number of entries.
        let _ = system(&["kill", "-TERM", &self.child.id().to_string()]);
        let _ = self.child.wait();
    }
}

/// The log of a folder in which something was recorded.
#[must_use]
pub fn log_of(folder: &Path) -> PathBuf {
    folder.join("writes.log")
}

/// Makes an image with an empty ext4 on it, all of it written, in blocks of what a disk writes whole.
///
/// # Errors
/// Why it cannot be made.
pub fn ext4(image: &Path, bytes: u64) -> Result<(), String> {
    File::create(image).and_then(|file| file.set_len(bytes)).map_err(|e| e.to_string())?;
    let whole = "lazy_itable_init=0,lazy_journal_init=0";
    system(&["mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", whole, text(image)]).map(drop)
}
