//! [`Cage`]: a control group for one process, with little memory or a part of a core; removed when dropped.
//!
//! Limits: needs root, and groups of the first kind or a root whose children may have the controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::binary::{binary, clean};
use crate::table::wait_for;

/// Two cages of one process have different names.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A control group.
#[derive(Debug)]
pub struct Cage(PathBuf);

impl Cage {
    /// With so much memory for everything, the system's buffers of its files included.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn memory(bytes: u64) -> Result<Cage, String> {
        Cage::new("memory", &[("memory.limit_in_bytes", bytes.to_string())], &[("memory.max", bytes.to_string())])
    }

    /// With so much of one core, in percent, and before everything else on the machine: what others do there takes nothing of it.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn cpu(percent: u32) -> Result<Cage, String> {
        let cage = Cage::new("cpu", &[("cpu.shares", "262144".to_owned())], &[("cpu.weight", "10000".to_owned())])?;
        cage.gives(percent)?;
        Ok(cage)
    }

    /// Gives another part of a core from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn gives(&self, percent: u32) -> Result<(), String> {
        // A short period: a process that has used up its share stands still for the rest of it.
        let (period, share) = (10_000, percent * 100);
        let old = [("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", share.to_string())];
        let unified = [("cpu.max", format!("{share} {period}"))];
        self.write(if self.0.join(old[0].0).exists() { &old[..] } else { &unified[..] })
    }

    fn new(controller: &str, old: &[(&str, String)], unified: &[(&str, String)]) -> Result<Cage, String> {
        let root = Path::new("/sys/fs/cgroup");
        let first = root.join(controller);
        let (root, files) = if first.exists() { (first.as_path(), old) } else { (root, unified) };
        let place = root.join(format!("traild-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst)));
        fs::create_dir(&place).map_err(|e| format!("{}: {e}", place.display()))?;
        let cage = Cage(place);
        cage.write(files)?;
        Ok(cage)
    }

    fn write(&self, files: &[(&str, String)]) -> Result<(), String> {
        files.iter().try_for_each(|(file, value)| fs::write(self.0.join(file), value).map_err(|e| format!("{file}: {e}")))
    }

    /// The command of the binary in it.
    #[must_use]
    pub fn traild(&self) -> Command {
        let mut command = clean(Command::new("sh"));
        command.args(["-c", "echo $$ > \"$0/cgroup.procs\"; exec \"$@\""]).arg(&self.0).arg(binary());
        command
    }

    /// Waits until no process is in it.
    ///
    /// # Panics
    /// When one stays.
    pub fn wait_until_empty(&self) {
        wait_for("an empty group", || fs::read_to_string(self.0.join("cgroup.procs")).is_ok_and(|text| text.trim().is_empty()));
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
