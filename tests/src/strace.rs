//! [`Strace`]: faults in the system calls of a running `traild`, thread by thread, without a line of test code in it.
//!
//! `strace` counts a call's occurrences in each thread apart. So it is attached to one thread, or, for a start, to all of them from the
//! beginning. A fault replaces the call: a thread that is killed at its N-th `rename` has not renamed. Limits: the state of the page
//! cache is not that of a real failed sync; the simulated disk has that.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

use crate::table::wait_for;

/// The calls by which `traild` changes its directory.
pub const CHANGES: [&str; 8] = ["pwrite64", "fdatasync", "fsync", "fallocate", "ftruncate", "openat", "rename", "unlink"];

/// A tracer; it lets go of the thread when dropped.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    calls: NamedTempFile,
}

impl Strace {
    /// Attaches to a thread; `fault` as strace wants it: `fdatasync:error=EIO:when=3`.
    ///
    /// # Panics
    /// When strace is not there.
    #[must_use]
    pub fn attach(thread: u32, fault: &str) -> Strace {
        let calls = NamedTempFile::new().unwrap();
        let mut command = Command::new("strace");
        command.args(arguments(fault, calls.path().to_str().unwrap())).args(["-p", &thread.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut strace = Strace { child, calls };
        wait_for("a tracer", || tracer(thread).is_none_or(|pid| pid != "0") || strace.child.try_wait().unwrap().is_some());
        strace
    }

    /// How many errors were injected so far.
    #[must_use]
    pub fn injected(&self) -> usize {
        injected(self.calls.path())
    }
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

fn arguments(fault: &str, calls: &str) -> [String; 7] {
    let call = fault.split(':').next().unwrap_or_default();
    ["-qq", "-o", calls, "-e", &format!("trace={call}"), "-e", &format!("inject={fault}")].map(ToOwned::to_owned)
}

/// The command that starts another with a fault in any of its threads, and writes the calls to a file; the other one keeps its process
/// id. (With `--seccomp-bpf` strace 6.1 does not count past the first call.)
#[must_use]
pub fn wrapper(fault: &str, calls: &Path) -> Vec<String> {
    let own = ["strace", "-D", "-f"].map(ToOwned::to_owned);
    own.into_iter().chain(arguments(fault, calls.to_str().unwrap())).collect()
}

/// How many errors were injected by the calls that a tracer wrote to a file.
#[must_use]
pub fn injected(calls: &Path) -> usize {
    let text = fs::read(calls).unwrap_or_default();
    String::from_utf8_lossy(&text).matches("(INJECTED)").count()
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
