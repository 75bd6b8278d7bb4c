//! [`Stranger`]: a server whose limits can be changed while it runs; [`processor`]: what it has computed, and [`share_of_a_core`], how fast.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::binary::{binary, clean};
use crate::mounts::{system, text};
use crate::server::Server;

/// A user of whom nothing else runs, where the test is root's: no limit on processes holds for root.
#[derive(Debug)]
pub struct Stranger {
    words: Vec<String>,
    binary: PathBuf,
}

impl Stranger {
    /// The user's number: of nobody known.
    const USER: &str = "61234";

    /// Makes the folder the user's, with a copy of the binary in it, which may stand where only root goes.
    ///
    /// # Panics
    /// When root cannot do that.
    #[must_use]
    pub fn new(folder: &Path) -> Stranger {
        let is_root = system(&["id", "-u"]).is_ok_and(|id| id.trim() == "0");
        if !is_root {
            return Stranger { words: Vec::new(), binary: binary().to_owned() };
        }
        let copy = folder.join("traild");
        fs::copy(binary(), &copy).unwrap();
        system(&["chown", "-R", Stranger::USER, text(folder)]).unwrap();
        let words = ["setpriv", "--reuid", Stranger::USER, "--regid", Stranger::USER, "--clear-groups"];
        Stranger { words: words.map(ToOwned::to_owned).to_vec(), binary: copy }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut all = self.words.iter().map(String::as_str).chain(words.iter().copied());
        let mut command = clean(Command::new(all.next().unwrap()));
        command.args(all);
        command
    }

    /// The command of the binary.
    #[must_use]
    pub fn traild(&self) -> Command {
        self.command(&[text(&self.binary)])
    }

    /// Sets a soft limit of a process of the user, as that user: root in a container may not.
    ///
    /// # Panics
    /// When the system refuses it.
    pub fn limit(&self, pid: &str, limit: &str) {
        let status = self.command(&["prlimit", "--pid", pid, limit]).status().unwrap();
        assert!(status.success(), "prlimit --pid {pid} {limit}: {status}");
    }

    /// Whether a process of the user that may have one process can make another.
    ///
    /// # Panics
    /// When that cannot be tried.
    #[must_use]
    pub fn may_fork(&self) -> bool {
        self.command(&["prlimit", "--nproc=1", "sh", "-c", "sh -c : & wait $!"]).stderr(Stdio::null()).status().unwrap().success()
    }
}

/// What the processor has done for a process.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn processor(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // A tick is 10 ms on every Linux that this runs on.
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}

/// How much of a core a server takes for a while. What it does in the background ends, and spinning does not.
#[must_use]
pub fn share_of_a_core(server: &Server) -> f64 {
    let (before, start) = (processor(server.pid()), Instant::now());
    thread::sleep(Duration::from_millis(300));
    (processor(server.pid()) - before).as_secs_f64() / start.elapsed().as_secs_f64()
}
