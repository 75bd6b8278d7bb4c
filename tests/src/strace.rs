//! [`Strace`]: faults in the system calls of a running `traild`, thread by thread, without a line of test code in it.
//!
//! `strace` counts a call's occurrences in each thread apart. So it is attached to one thread, or to all of them, for a start from the
//! beginning. Of all threads only the calls on given files count, since the loader and the runtime open files too; and only what failed in
//! the data directory counts as injected. A fault replaces the call: a thread that is killed at its N-th `rename` has not renamed.
//! Limits: the state of the page cache is not that of a real failed sync; the simulated disk has that.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

use crate::mounts::text;
use crate::table::wait_for;

/// The calls by which `traild` changes its directory.
pub const CHANGES: [&str; 8] = ["pwrite64", "fdatasync", "fsync", "fallocate", "ftruncate", "openat", "rename", "unlink"];

/// A tracer; it lets go of the thread when dropped.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    calls: NamedTempFile,
    data: PathBuf,
}

impl Strace {
    /// Attaches to a thread; `fault` as strace wants it: `fdatasync:error=EIO:when=3`.
    ///
    /// # Panics
    /// When strace is not there.
    #[must_use]
    pub fn attach(thread: u32, fault: &str, data: &Path) -> Strace {
        Strace::run(thread, &[], fault, data, &[])
    }

    /// Attaches to all threads of a process, those to come too; calls on these files count.
    ///
    /// # Panics
    /// When strace is not there.
    #[must_use]
    pub fn attach_all(process: u32, fault: &str, data: &Path, files: &[PathBuf]) -> Strace {
        Strace::run(process, &["-f"], fault, data, files)
    }

    fn run(id: u32, words: &[&str], fault: &str, data: &Path, files: &[PathBuf]) -> Strace {
        let calls = NamedTempFile::new().unwrap();
        let mut command = Command::new("strace");
        command.args(words).args(arguments(fault, calls.path(), files)).args(["-p", &id.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut strace = Strace { child, calls, data: data.to_owned() };
        let mut is_over = || strace.child.try_wait().unwrap().is_some();
        wait_for("a tracer", || is_over() || traced_by_all(id, !words.is_empty()));
        strace
    }

    /// How many errors were injected so far.
    #[must_use]
    pub fn injected(&self) -> usize {
        injected(self.calls.path(), &self.data)
    }

    /// The same in calls on files of the directory whose names begin so.
    #[must_use]
    pub fn injected_in(&self, start: &str) -> usize {
        injected(self.calls.path(), &self.data.join(start))
    }
}

/// Whether a thread has a tracer, or all threads of its process.
fn traced_by_all(id: u32, all: bool) -> bool {
    let is_traced = |thread: u32| tracer(thread).is_none_or(|pid| pid != "0");
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten();
    let mut threads = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    if all { threads.all(is_traced) } else { is_traced(id) }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // On SIGINT it takes its faults out again and lets the thread go on; when it ended with the thread there is nothing to say to.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("sh").args(["-c", &format!("kill -INT {}", self.child.id())]).status();
        }
        let _ = self.child.wait();
    }
}

fn arguments(fault: &str, calls: &Path, files: &[PathBuf]) -> Vec<String> {
    let call = fault.split(':').next().unwrap_or_default();
    let own = ["-qq", "-y", "-o", text(calls), "-e", &format!("trace={call}"), "-e", &format!("inject={fault}")].map(ToOwned::to_owned);
    own.into_iter().chain(files.iter().flat_map(|file| ["-P".to_owned(), text(file).to_owned()])).collect()
}

/// The command that starts another with a fault in any of its threads, in calls on these files, and writes the calls to a file; the
/// other one keeps its process id. (With `--seccomp-bpf` strace 6.1 does not count past the first call.)
#[must_use]
pub fn wrapper(fault: &str, calls: &Path, files: &[PathBuf]) -> Vec<String> {
    let own = ["strace", "-D", "-f"].map(ToOwned::to_owned);
    own.into_iter().chain(arguments(fault, calls, files)).collect()
}

/// The command that starts another and writes to a file which files it opens.
///
/// # Panics
/// When the name of the file is no text.
#[must_use]
pub fn watcher(calls: &Path) -> Vec<String> {
    ["strace", "-D", "-f", "-qq", "-e", "trace=openat,rename,unlink", "-o", text(calls)].map(ToOwned::to_owned).to_vec()
}

/// The files in a directory that are named in the calls that a tracer wrote to a file; relative to it, and itself as an empty path.
///
/// # Panics
/// When there are no calls.
#[must_use]
pub fn files_named(calls: &Path, data: &Path) -> BTreeSet<PathBuf> {
    let written = fs::read_to_string(calls).unwrap();
    let names = written.split('"').filter_map(|word| Path::new(word).strip_prefix(data).ok());
    names.map(Path::to_owned).collect()
}

/// How many errors were injected by the calls on files in this directory, or whose paths begin so, that a tracer wrote to a file. Where several threads call at once,
/// the end of a call stands on a line of its own, without the file: who traces several names the files.
#[must_use]
pub fn injected(calls: &Path, data: &Path) -> usize {
    let written = fs::read(calls).unwrap_or_default();
    let written = String::from_utf8_lossy(&written);
    let is_ours = |line: &&str| line.contains("(INJECTED)") && (line.contains(text(data)) || line.contains(" resumed>"));
    written.lines().filter(is_ours).count()
}

fn tracer(thread: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map(|pid| pid.trim().to_owned())
}

/// The thread of this name in a process; a thread gives itself its name a moment after its start.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn thread_named(process: u32, name: &str) -> u32 {
    let mut found = None;
    wait_for(name, || {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let mut ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        found = ids.find(|id: &u32| fs::read_to_string(format!("/proc/{process}/task/{id}/comm")).is_ok_and(|comm| comm.trim() == name));
        found.is_some()
    });
    found.unwrap()
}

/// Why no faults can be injected here.
#[must_use]
pub fn obstacle() -> Option<String> {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"]).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("strace cannot trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("strace: {error}")),
    }
}
