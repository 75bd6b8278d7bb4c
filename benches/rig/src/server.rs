//! [`Server`]: the `traild` under test as a process of its own, or one that runs already.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::now;
use crate::failure::Result;
use crate::process::Process;

const STOP_TIME_MAX: Duration = Duration::from_secs(120);

/// A server, started here or elsewhere.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts one on a data directory; `settings` are `NAME=VALUE` of its environment. Returns once it says where it listens.
    ///
    /// # Errors
    /// When the program cannot be started or says anything else.
    pub fn start(binary: &Path, data_dir: &Path, settings: &[(String, String)]) -> Result<Server> {
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
    #[must_use]
    pub fn running(address: SocketAddr) -> Server {
        Server { address, child: None }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process. `None` for a server that was not started here.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        Some(Process::of(self.child.as_ref()?.id()))
    }

    /// Asks it to stop and waits; the CPU seconds of its whole life.
    ///
    /// # Errors
    /// When it was not started here, or does not stop within two minutes.
    pub fn stop(self) -> Result<f64> {
        self.end(Signal::TERM)
    }

    /// Ends it as a power cut would, as far as the process goes.
    ///
    /// # Errors
    /// As for [`Server::stop`].
    pub fn kill(self) -> Result<f64> {
        self.end(Signal::KILL)
    }

    fn end(mut self, signal: Signal) -> Result<f64> {
        let mut child = self.child.take().ok_or("the server was not started here")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("the process has no id")?;
        kill_process(pid, signal)?;
        let deadline = now() + STOP_TIME_MAX;
        // An ended process keeps its account until it is waited for.
        loop {
            if let Some(seconds) = Process::of(child.id()).ended()? {
                child.wait()?;
                return Ok(seconds);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_no_server_is_an_error() {
        let failure = Server::start(Path::new("/bin/true"), Path::new("/"), &[]).unwrap_err();
        assert!(failure.to_string().contains("did not say"), "{failure}");
    }
}
