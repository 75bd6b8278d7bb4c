//! [`Life`]: what a server did on a recorded disk, and what it had promised by when; [`Cut`]: a power cut in it, and what must be there
//! after.
//!
//! Each acknowledgement is kept with the number of requests that the disk had written down when it came: an event that was acknowledged at
//! request 200 must be in every cut from 200 on. The first start, the old day's end, flushes, merges and new journal files all lie in
//! the few seconds of a life, and cuts fall into each. Limit: what runs when differs from run to run; so a failed cut leaves its life in
//! a folder, from which it can be repeated.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::binary::{run, traild};
use crate::client::Client;
use crate::ledger::{Batch, Ledger};
use crate::load::{Sent, Source, everything, send};
use crate::mounts::Mount;
use crate::old_day::OldDay;
use crate::power::{Loss, Recording, copy};
use crate::recorder::{Recorder, ext4, log_of};
use crate::seed::Random;
use crate::server::Server;
use crate::wrong::Wrong;

/// Large enough for the load, small enough to be copied in no time.
const DISK_BYTES: u64 = 64 << 20;
/// How long after the start of a life its old day is over, in half of the lives.
const OLD_FOR: Duration = Duration::from_millis(1_000);
const CLIENTS: u64 = 2;
const BATCHES: u64 = 25;

/// The settings of a server.
pub type Settings = Vec<(String, String)>;

/// A recorded disk, and the ledger of its server.
#[derive(Debug)]
pub struct Life {
    /// Has `base.img`, the disk before all of it, and the log of requests.
    pub folder: PathBuf,
    /// What was written.
    pub recording: Recording,
    /// What the server was told.
    pub settings: Settings,
    /// What may be gone.
    pub old: OldDay,
    /// Of so many requests it is known that they came before it was due.
    pub old_until: usize,
    /// What was acknowledged, with the number of requests by then.
    pub promised: Vec<(usize, Batch)>,
    /// What was sent and not acknowledged.
    pub open: Vec<Batch>,
}

/// A moment of a life, and what is lost there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// After so many requests.
    pub requests: usize,
    /// Decides what of the pending is lost, and how the next server ends.
    pub seed: u64,
}

impl Cut {
    /// What of the pending is lost: nothing, all, or some.
    #[must_use]
    pub fn loss(&self) -> Loss {
        Loss { percent: *Random::new(self.seed).pick(&[0, 20, 50, 50, 80, 100]), seed: self.seed }
    }
}

/// What a server was given and said.
#[derive(Debug, Default)]
struct Told {
    promised: Vec<(usize, Batch)>,
    open: Vec<Batch>,
}

fn settings(retention: String, random: &mut Random) -> Settings {
    let mut choose = |name: &str, choices: &[&str]| (name.to_owned(), (*random.pick(choices)).to_owned());
    vec![
        choose("TRAILD_HEAD_BYTES_MAX", &["64KiB", "64KiB", "256KiB"]),
        choose("TRAILD_HEAD_AGE_MAX", &["1s", "15m"]),
        choose("TRAILD_JOURNAL_BYTES", &["64KiB", "128KiB", "1MiB"]),
        choose("TRAILD_SEGMENT_EVENTS_MAX", &["200", "2000", "16000000"]),
        choose("TRAILD_MERGE_CPU_PERCENT", &["0", "100", "100"]),
        choose("TRAILD_LOG_LEVEL", &["warn"]),
        ("TRAILD_RETENTION".to_owned(), retention),
    ]
}

fn start(data: &Path, settings: &Settings) -> Result<Server, String> {
    let pairs: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Server::try_start(traild(), data, &[], &pairs)
}

/// Sends batches; `mark` says how many requests the disk has.
fn load(mut client: Client, mut source: Source, mut random: Random, mark: &(dyn Fn() -> usize + Sync)) -> Told {
    let mut told = Told::default();
    for _ in 0..BATCHES {
        let batch = source.batch();
        match send(&mut client, &batch) {
            Sent::Kept => told.promised.push((mark(), batch)),
            Sent::Refused(answer) => {
                assert_eq!(answer.status, 429, "{}", answer.text());
                told.open.push(batch);
            }
            Sent::Gone(error) => panic!("the server went away: {error}"),
        }
        thread::sleep(Duration::from_millis(random.below(30)));
    }
    told
}

/// Some clients at once, then the server's end: by a signal that it hears, or by one that it does not.
fn loaded(server: Server, name: &str, random: &mut Random, mark: &(dyn Fn() -> usize + Sync)) -> Told {
    let told: Vec<Told> = thread::scope(|scope| {
        let hands: Vec<_> = (0..CLIENTS)
            .map(|i| {
                let (mut source, client) = (Source::new(format!("{name}-{i}"), random.fork()), server.client());
                (source.events_max, source.filler_max) = (30, 20);
                let random = random.fork();
                scope.spawn(move || load(client, source, random, mark))
            })
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect()
    });
    if random.below(2) == 0 {
        server.kill()
    } else {
        server.stop()
    }
    told.into_iter().fold(Told::default(), |mut all, one| {
        all.promised.extend(one.promised);
        all.open.extend(one.open);
        all
    })
}

impl Life {
    /// A new disk, a first start and two more, each with a load. In half of the lives the log begins with an old day.
    ///
    /// # Errors
    /// Why nothing can be recorded.
    ///
    /// # Panics
    /// When a server does not do its work.
    pub fn live(folder: &Path, name: &str, random: &mut Random) -> Result<Life, String> {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let image = folder.join("image.img");
        ext4(&image, DISK_BYTES)?;
        copy(&image, &folder.join("base.img"))?;
        let recorder = Recorder::begin(&image, folder)?;
        let data = recorder.place().join("log");
        let (mut told, mut old, mut retention) = (Told::default(), OldDay::default(), "30d".to_owned());
        if random.below(2) == 0 {
            let mut source = Source::new(format!("{name}-old"), random.fork());
            let (batches, fresh) = ((0..2).map(|_| source.batch()).collect(), source.batch());
            old = OldDay::make(&data, batches, &fresh);
            told.promised.push((recorder.requests(), fresh));
            retention = old.ends_after(OLD_FOR);
        }
        let settings = settings(retention, random);
        let old_until = AtomicUsize::new(0);
        let mark = || {
            let requests = recorder.requests();
            // Asked after they were counted: none of them can have dropped it.
            old_until.fetch_max(if old.is_due() { 0 } else { requests }, Ordering::Relaxed);
            requests
        };
        for round in 0..3 {
            let more = loaded(start(&data, &settings)?, &format!("{name}-{round}"), random, &mark);
            told.promised.extend(more.promised);
            told.open.extend(more.open);
        }
        if !old.files().is_empty() {
            println!("{name}: the old day {}", if old.is_gone_from(&data) { "has gone" } else { "is still there" });
        }
        let old = (old, old_until.into_inner());
        Life::end(folder, recorder, settings, old, told)
    }

    fn end(folder: &Path, recorder: Recorder, settings: Settings, (old, old_until): (OldDay, usize), told: Told) -> Result<Life, String> {
        drop(recorder);
        let recording = Recording::read(&log_of(folder)).map_err(|e| e.to_string())?;
        let Told { promised, open } = told;
        Ok(Life { folder: folder.to_owned(), recording, settings, old, old_until, promised, open })
    }

    /// Whether a cut lies behind the old day's making and before its end: whatever was lost there, none of it was.
    fn has_all_of_the_old_day(&self, cut: Cut) -> bool {
        // The batch that is promised first was stored after it, and with it: see `OldDay::make`.
        let made = self.promised.first().map_or(usize::MAX, |(requests, _)| *requests).max(1);
        !self.old.files().is_empty() && (made..=self.old_until).contains(&cut.requests)
    }

    /// Cuts: some right after an acknowledgement, some right before a flush, the others anywhere; in the order of the life.
    #[must_use]
    pub fn cuts(&self, count: u64, random: &mut Random) -> Vec<Cut> {
        let end = self.recording.len() as u64;
        let mut cuts: Vec<Cut> = (0..count)
            .map(|_| {
                let anywhere = usize::try_from(random.below(end + 1)).unwrap();
                let requests = match random.below(4) {
                    0 if !self.promised.is_empty() => random.pick(&self.promised).0,
                    1 => self.recording.before_flush(anywhere),
                    _ => anywhere,
                };
                Cut { requests, seed: random.number() }
            })
            .collect();
        cuts.sort_by_key(|cut| cut.requests);
        cuts
    }

    /// What must be there after a cut, and what may.
    #[must_use]
    pub fn ledger(&self, cut: Cut) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.begins_behind(self.old.events());
        self.open.iter().for_each(|batch| ledger.unknown(batch));
        for (requests, batch) in &self.promised {
            if *requests <= cut.requests { ledger.promised(batch.clone()) } else { ledger.unknown(batch) }
        }
        ledger
    }

    /// Starts a server on what a cut has left, and holds what it has against the ledger.
    fn look(&self, data: &Path, cut: Cut) -> Result<Server, Wrong> {
        if self.has_all_of_the_old_day(cut) {
            self.old.all_in(data)?;
        }
        let server = start(data, &self.settings)?;
        let stored = self.old.taken_out(everything(&server))?;
        self.ledger(cut).check(&stored)?;
        Ok(server)
    }

    /// Mounts what a cut has left: a server starts, has what it must, takes more, and `traild verify` finds nothing.
    ///
    /// # Errors
    /// What is wrong.
    pub fn survives(&self, image: &Path, cut: Cut, place: &Path) -> Result<(), Wrong> {
        let mount = Mount::image(image, place)?;
        let data = mount.place().join("log");
        let server = self.look(&data, cut)?;
        let mut random = Random::new(cut.seed);
        let batch = Source::new(format!("after-{}", cut.seed), random.fork()).batch();
        let sent = send(&mut server.client(), &batch);
        if !matches!(sent, Sent::Kept) {
            return Err(Wrong::Other(format!("afterwards it takes nothing: {sent:?}")));
        }
        let said = server.said();
        if let Some(line) = said.lines().find(|line| line.contains("panicked at")) {
            return Err(Wrong::Other(line.to_owned()));
        }
        if random.below(2) == 0 {
            server.kill()
        } else {
            server.stop()
        }
        let (code, out, errors) = run(traild().arg("verify").arg("--data-dir").arg(&data).envs(self.settings.iter().cloned()));
        drop(mount);
        if code == 0 { Ok(()) } else { Err(Wrong::Other(format!("verify: {out}{errors}; the server said: {said}"))) }
    }

    /// Records the recovery from a cut, and a load after it: a life in which all that was promised before the cut was promised at its
    /// beginning.
    ///
    /// # Errors
    /// What is wrong.
    pub fn again(&self, image: &Path, cut: Cut, folder: &Path) -> Result<Life, Wrong> {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        copy(image, &folder.join("base.img"))?;
        let recorder = Recorder::begin(image, folder)?;
        let data = recorder.place().join("log");
        let mut random = Random::new(cut.seed);
        let server = self.look(&data, cut)?;
        let mut told = loaded(server, &format!("again-{}", cut.seed), &mut random, &|| recorder.requests());
        let (before, after) = self.promised.iter().partition::<Vec<_>, _>(|(requests, _)| *requests <= cut.requests);
        told.promised.extend(before.into_iter().map(|(_, batch)| (0, batch.clone())));
        told.open.extend(after.into_iter().map(|(_, batch)| batch.clone()).chain(self.open.iter().cloned()));
        Life::end(folder, recorder, self.settings.clone(), (self.old.clone(), 0), told).map_err(Wrong::from)
    }
}
