//! [`Server`]: the real binary as a process of its own, with its end in our hands.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::binary::traild;
use crate::client::Client;

/// How long a start or an end may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `traild serve`; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took from its start to the line that it listens.
    pub ready: Duration,
    log: PathBuf,
}

impl Server {
    /// Starts a server on a data directory, with settings as `TRAILD_...` pairs.
    ///
    /// # Panics
    /// When it does not listen in time; with what it said.
    #[must_use]
    pub fn start(data: &Path, settings: &[(&str, &str)]) -> Server {
        Server::start_with(data, &[], settings)
    }

    /// The same with further arguments.
    ///
    /// # Panics
    /// See [`Server::start`].
    #[must_use]
    pub fn start_with(data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Server {
        Server::try_start(traild(), data, arguments, settings).unwrap_or_else(|ended| panic!("no server: {ended}"))
    }

    /// Starts a server by a command of one's own, such as one that limits it or stands between it and the system.
    ///
    /// # Errors
    /// When it ends before it listens; with its end and what it said.
    pub fn try_start(mut command: Command, data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Result<Server, String> {
        let log = data.with_extension("log");
        let errors = File::options().create(true).append(true).open(&log).unwrap();
        let start = Instant::now();
        command.arg("serve").arg("--data-dir").arg(data).args(["--listen", "127.0.0.1:0"]).args(arguments);
        command.envs(settings.iter().copied()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap();
        let line = first_line(&mut child);
        let address = line.as_deref().and_then(|line| line.trim_end().strip_prefix("listening on http://")?.parse().ok());
        let ready = start.elapsed();
        let Some(address) = address else {
            let _ = child.kill();
            let status = child.wait().unwrap();
            return Err(format!("{status}, printed {line:?}: {}", said(&log)));
        };
        Ok(Server { child, address, ready, log })
    }

    /// The file of its standard error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// A connection to it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// The address as the command line wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is there.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The most memory it ever had, in bytes.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("no VmHWM");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What it wrote to standard error so far, over all starts on this directory.
    #[must_use]
    pub fn said(&self) -> String {
        said(&self.log)
    }

    /// SIGKILL, now.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns at once.
    pub fn terminate(&self) {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status().unwrap();
        assert!(status.success(), "kill: {status}");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "did not end: {}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM and a good end.
    ///
    /// # Panics
    /// When it ends in any other way than with 0.
    pub fn stop(self) {
        self.terminate();
        let log = self.log.clone();
        let status = self.wait();
        assert!(status.success(), "{status}: {}", said(&log));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server said:\n{}", said(&self.log));
        }
    }
}

/// The first line of standard output, within the patience; the rest is read and forgotten, so that the pipe never fills.
fn first_line(child: &mut Child) -> Option<String> {
    let mut lines = BufReader::new(child.stdout.take()?);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = lines.read_line(&mut line).is_ok_and(|count| count > 0);
        let _ = sender.send(read.then_some(line));
        let _ = lines.read_to_end(&mut Vec::new());
    });
    receiver.recv_timeout(PATIENCE).ok().flatten()
}

fn said(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(4_000)..]).into_owned()
}
