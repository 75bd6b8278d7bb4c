//! [`Server`]: the `traild` under test as a process of its own, and what the kernel says about it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Result;
use crate::timing::now;

/// The kernel counts CPU time in ticks of this length; it is 1/100 s on every Linux of today.
const TICK_SECONDS: f64 = 0.01;
const STOP_TIME_MAX: Duration = Duration::from_secs(120);

/// A server, started here or elsewhere.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts one on a data directory; `settings` are `NAME=VALUE` of its environment. Returns once it says where it listens.
    pub(crate) fn start(binary: &Path, data_dir: &Path, settings: &[(String, String)]) -> Result<Server> {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        command.env("TRAILD_LOG_LEVEL", "warn").envs(settings.iter().cloned()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("cannot start {}: {e}", binary.display()))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Server { address, child: Some(child) }),
            None => {
                child.kill()?;
                child.wait()?;
                Err(format!("{} did not say where it listens", binary.display()).into())
            }
        }
    }

    /// One that runs already, of which only the address is known.
    pub(crate) fn running(address: SocketAddr) -> Server {
        Server { address, child: None }
    }

    /// CPU seconds since it was started, user and system, all threads. `None` for a server that was not started here.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.as_ref()?.id())).ok()?;
        cpu_seconds_of(&text)
    }

    /// The most memory it has had, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// Asks it to stop and waits; the CPU seconds of its whole life.
    pub(crate) fn stop(self) -> Result<f64> {
        self.end(Signal::TERM)
    }

    /// Ends it as a power cut would, as far as the process goes.
    pub(crate) fn kill(self) -> Result<f64> {
        self.end(Signal::KILL)
    }

    fn end(mut self, signal: Signal) -> Result<f64> {
        let mut child = self.child.take().ok_or("the server was not started here")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("the process has no id")?;
        kill_process(pid, signal)?;
        let deadline = now() + STOP_TIME_MAX;
        // An ended process keeps its account until it is waited for.
        loop {
            let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
            if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')) {
                child.wait()?;
                return cpu_seconds_of(&text).ok_or_else(|| "the kernel's account cannot be read".into());
            }
            if now() > deadline {
                child.kill()?;
                child.wait()?;
                return Err("the server did not stop".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A measurement that failed leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }
}

fn cpu_seconds_of(stat: &str) -> Option<f64> {
    // The name may hold blanks and parentheses; what follows the last one is fields 3 and on, of which 14 and 15 are the times.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 * TICK_SECONDS)
}

/// Disk space of a directory, in bytes of allocated blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    /// All files.
    pub(crate) all: u64,
    /// Without journals and the files that wait to become one: what stays when everything is flushed.
    pub(crate) at_rest: u64,
}

/// Adds up a directory and those below it.
pub(crate) fn disk(directory: &Path) -> Result<Disk> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = Disk::default();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            let below = disk(&entry.path())?;
            sum.all += below.all;
            sum.at_rest += below.at_rest;
            continue;
        }
        let (bytes, name) = (meta.blocks() * 512, entry.file_name().to_string_lossy().into_owned());
        sum.all += bytes;
        sum.at_rest += if name.contains("journal") || name.contains("spare") { 0 } else { bytes };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_process_is_read() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(cpu_seconds_of(stat), Some(2.0));
        assert_eq!(cpu_seconds_of("42 (x) S 1"), None);
    }

    #[test]
    fn a_program_that_is_no_server_is_an_error() {
        let failure = Server::start(Path::new("/bin/true"), Path::new("/"), &[]).unwrap_err();
        assert!(failure.to_string().contains("did not say"), "{failure}");
    }
}
