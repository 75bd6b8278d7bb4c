//! [`Scene`]: something that a server does to its directory, the thread that does it, and the [`Template`] of a directory in which it
//! is about to be done; [`Round`]: a copy of it, and what it owes.
//!
//! Every round of a fault begins with the same directory, so that the same call of the same thread comes again and again. Limits: the
//! server's threads are not in step with each other, so that the N-th call of a thread is not always for the same thing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::binary::{binary, clean, run, traild};
use crate::client::Answer;
use crate::load::{Book, Sent, Source, everything};
use crate::old_day::{OldDay, segments};
use crate::seed::Random;
use crate::server::Server;
use crate::strace::{Strace, files_named, thread_named, watcher, wrapper};
use crate::table::wait_for;
use crate::wrong::Wrong;

/// How long after a template was made the old day is over. A server goes on from the time that the log trusted when it was closed, at
/// twice the speed of the clock: so it drops the day half of this after any later start.
const EXPIRES_AFTER: Duration = Duration::from_secs(3);
/// Batches of a scene: enough for two heads.
const BATCHES: usize = 14;

/// Small heads, so that flushes and merges come after a few batches.
const SMALL: [(&str, &str); 4] = [
    ("TRAILD_HEAD_BYTES_MAX", "64KiB"),
    ("TRAILD_JOURNAL_BYTES", "64KiB"),
    ("TRAILD_MERGE_CPU_PERCENT", "100"),
    ("TRAILD_LOG_LEVEL", "warn"),
];

/// Nothing is merged.
const UNMERGED: (&str, &str) = ("TRAILD_MERGE_CPU_PERCENT", "0");
/// Every segment is full.
const FULL: (&str, &str) = ("TRAILD_SEGMENT_EVENTS_MAX", "1");

/// A file in a directory; the directory itself when the name is empty.
fn within(data: &Path, file: &Path) -> PathBuf {
    if file.as_os_str().is_empty() { data.to_owned() } else { data.join(file) }
}

/// Whether a segment is sealed; false when the server went away.
fn is_sealed(server: &Server) -> bool {
    server.client().send("GET", "/v1/segments", &[], b"").is_ok_and(|answer| answer.text_whole().contains("\"sealed\""))
}

/// The binary, after the words of a tracer.
fn after(words: &[String]) -> Command {
    let mut command = clean(Command::new(&words[0]));
    command.args(&words[1..]).arg(binary());
    command
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Batches are written, and the journal goes on in new files.
    Write,
    /// Heads become segments.
    Flush,
    /// Segments become one.
    Merge,
    /// A day is over its retention.
    Expire,
    /// A segment is full, and will not change any more.
    Seal,
    /// What a kill left is recovered; a little is written.
    Start,
    /// The signal to stop: the writer's part.
    Stop,
}

impl Scene {
    /// All of them.
    pub const ALL: [Scene; 7] = [Scene::Write, Scene::Flush, Scene::Merge, Scene::Expire, Scene::Seal, Scene::Start, Scene::Stop];

    /// The thread that does it; any for [`Scene::Start`].
    fn thread(self) -> Option<&'static str> {
        match self {
            Scene::Write | Scene::Stop => Some("trail-writer"),
            Scene::Flush | Scene::Expire | Scene::Seal => Some("trail-upkeep"),
            Scene::Merge => Some("trail-merge"),
            Scene::Start => None,
        }
    }

    fn segments_before(self) -> usize {
        match self {
            // Two more are a tier.
            Scene::Merge => 14,
            Scene::Start => 1,
            _ => 0,
        }
    }

    fn batches(self) -> usize {
        match self {
            Scene::Expire | Scene::Start => 2,
            Scene::Seal => BATCHES / 2,
            _ => BATCHES,
        }
    }
}

/// A directory to begin with, and what it owes.
#[derive(Debug)]
pub struct Template {
    /// What is about to be done.
    pub scene: Scene,
    data: PathBuf,
    book: Book,
    retention: String,
    /// What expires.
    old: OldDay,
    /// The files that [`Scene::Start`] uses, relative to the directory.
    files: BTreeSet<PathBuf>,
}

impl Template {
    /// A log that ended well, or for [`Scene::Start`] by a kill.
    ///
    /// # Panics
    /// When the server does not take it.
    #[must_use]
    pub fn make(folder: &Path, scene: Scene, seed: u64, random: &mut Random) -> Template {
        let data = folder.join(format!("{scene:?}-{seed}"));
        let mut book = Book::new(Source::new(format!("{seed}"), random.fork()));
        let mut old = OldDay::default();
        if scene == Scene::Expire {
            let batches = (0..2).map(|_| book.source.batch()).collect();
            let fresh = book.source.batch();
            old = OldDay::make(&data, batches, &fresh);
            book.ledger.begins_behind(old.events());
            book.ledger.promised(fresh);
        }
        let server = Server::start(&data, &[&SMALL[..], &[UNMERGED]].concat());
        let mut client = server.client();
        (0..2).for_each(|_| assert!(matches!(book.send(&mut client), Sent::Kept)));
        while segments(&data).len() < scene.segments_before() {
            book.send(&mut client);
        }
        if scene == Scene::Start {
            server.kill()
        } else {
            server.stop()
        }
        old.all_in(&data).unwrap();
        let retention = if scene == Scene::Expire { old.ends_after(EXPIRES_AFTER) } else { "30d".to_owned() };
        let mut template = Template { scene, data, book, retention, old, files: BTreeSet::new() };
        if scene == Scene::Start {
            let files = template.round(&folder.join(format!("watched-{seed}"))).watched();
            template.files = files;
        }
        template
    }

    /// A round in a folder of its own.
    ///
    /// # Panics
    /// When the directory cannot be copied.
    #[must_use]
    pub fn round(&self, folder: &Path) -> Round<'_> {
        let data = folder.join(self.data.file_name().unwrap());
        fs::create_dir_all(&data).unwrap();
        for entry in fs::read_dir(&self.data).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                // That of the trails, of which a template has none.
                continue;
            }
            fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
        }
        Round { template: self, data, book: self.book.clone() }
    }
}

/// A copy of a template, on which the scene is played; removed when dropped.
#[derive(Debug)]
pub struct Round<'t> {
    template: &'t Template,
    /// The directory.
    pub data: PathBuf,
    /// The ledger.
    pub book: Book,
}

impl Round<'_> {
    /// What is played.
    #[must_use]
    pub fn scene(&self) -> Scene {
        self.template.scene
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        let mut settings = SMALL.to_vec();
        settings.push(("TRAILD_RETENTION", &self.template.retention));
        // Merged, the old segments would be gone before they expire.
        let scene = self.template.scene;
        settings.extend([Scene::Expire, Scene::Seal].contains(&scene).then_some(UNMERGED));
        settings.extend((scene == Scene::Seal).then_some(FULL));
        settings
    }

    /// The files of the scene when it is played without a fault, from the start to the end of the server.
    fn watched(mut self) -> BTreeSet<PathBuf> {
        let mut server = Server::try_start(after(&watcher(&self.calls())), &self.data, &[], &self.settings()).unwrap();
        self.send(&mut server, &mut |answer| assert_eq!(answer.status, 429, "{}", answer.text()));
        server.stop();
        files_named(&self.calls(), &self.data)
    }

    /// Where the tracer of [`Scene::Start`] writes.
    #[must_use]
    pub fn calls(&self) -> PathBuf {
        self.data.with_extension("calls")
    }

    /// Starts a server without a fault.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_again(&self) -> Server {
        Server::start(&self.data, &self.settings())
    }

    /// The same with more settings.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(&self, more: &[(&str, &str)]) -> Server {
        Server::start(&self.data, &[&self.settings()[..], more].concat())
    }

    /// Looks at the stopped log with `traild verify`.
    ///
    /// # Panics
    /// When it finds anything.
    pub fn verify(&self, place: &str) {
        let retention = ("TRAILD_RETENTION", &self.template.retention);
        let (code, out, errors) = run(traild().arg("verify").arg("--data-dir").arg(&self.data).envs([retention]));
        assert_eq!(code, 0, "{place}: {out}{errors}");
    }

    /// Starts a server whose thread of the scene runs under a fault: see [`Strace::attach`]. For [`Scene::Stop`] the work is done before.
    ///
    /// # Errors
    /// How the server ended that did not start.
    pub fn start(&mut self, fault: &str) -> Result<(Server, Option<Strace>), String> {
        let scene = self.template.scene;
        let settings = self.settings();
        let Some(thread) = scene.thread() else {
            let files: Vec<PathBuf> = self.template.files.iter().map(|file| within(&self.data, file)).collect();
            let command = after(&wrapper(fault, &self.calls(), &files));
            return Server::try_start(command, &self.data, &[], &settings).map(|server| (server, None));
        };
        let mut server = Server::try_start(traild(), &self.data, &[], &settings)?;
        if scene == Scene::Stop {
            self.send(&mut server, &mut |answer| assert_eq!(answer.status, 429, "{}", answer.text()));
        }
        let strace = Strace::attach(thread_named(server.pid(), thread), fault, &self.data);
        Ok((server, Some(strace)))
    }

    /// Makes the thread of the scene do all that it does; ends early when the process is gone, or when `enough` says so.
    ///
    /// # Panics
    /// When the work is not done in time.
    pub fn work(&mut self, server: &mut Server, refused: &mut dyn FnMut(&Answer), enough: &dyn Fn() -> bool) {
        let scene = self.template.scene;
        if scene != Scene::Stop && !self.send(server, refused) {
            return;
        }
        let before = scene.segments_before();
        match scene {
            // How much makes a segment is not known to the byte: more is sent until there is something to merge.
            Scene::Merge => wait_for("a merge", || {
                let count = segments(&self.data).len();
                count < before || enough() || !server.is_alive() || (count < before + 4 && !self.send(server, refused))
            }),
            Scene::Seal => wait_for("a seal", || enough() || !server.is_alive() || is_sealed(server) || !self.send(server, refused)),
            Scene::Expire => wait_for("an expiry", || self.template.old.is_gone_from(&self.data) || enough() || !server.is_alive()),
            _ => {}
        }
    }

    /// False when the server went away.
    fn send(&mut self, server: &mut Server, refused: &mut dyn FnMut(&Answer)) -> bool {
        let mut client = server.client();
        for _ in 0..self.template.scene.batches() {
            match self.book.send(&mut client) {
                Sent::Gone(_) => return false,
                Sent::Kept => {}
                Sent::Refused(answer) => refused(&answer),
            }
        }
        true
    }

    /// Holds what a server has against the ledger. What is due may be there or not, but all of a segment.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, server: &Server) -> Result<(), Wrong> {
        let stored = self.template.old.taken_out(everything(server))?;
        self.book.ledger.check(&stored)
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        // A failure leaves what it was about where it can be looked at, until the folder of the test goes.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.data);
            let _ = fs::remove_file(self.data.with_extension("log"));
            let _ = fs::remove_file(self.calls());
        }
    }
}
