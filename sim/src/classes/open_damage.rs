//! Classes 9 and 10, continued: bytes and pages go wrong under a log that is open, on a real file system, where the change shows through its maps.
//!
//! It hits before anything was read, or before the log goes on to flush and merge. Every answer is right, or says that it is not all, or is an error; nothing that is wrong is taken over into a new segment. The journal and the
//! catalog are not read while a log is open: their damage must show in no answer.
//!
//! **Limit.** What was read since the log was opened is checked once and then believed: damage that comes behind that shows in answers, here as in
//! the engine's promises.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use trail_engine::{AuditLog, Options};

use crate::clock::{Hands, START};
use crate::damage::{Answers, EVENTS, Files, append, ask, event, files, judge_open, options, right_answers};
use crate::ledger::Verdict;
use crate::random::Random;
use crate::runner::{Run, cores};
use crate::subject::settle;

/// How many places are hit, each at every moment.
const PLACES: u64 = 400;
const PLACES_OF_RELEASE: u64 = 20_000;
const PAGES: [usize; 2] = [512, 4_096];

/// When the damage comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Between opening and the first question.
    Unread,
    /// Before events are added, flushed and merged with the segments that are there.
    BeforeWork,
}

const WHEN: [When; 2] = [When::Unread, When::BeforeWork];

/// Bytes that are not what was written.
struct Damage {
    what: String,
    name: String,
    at: usize,
    bytes: Vec<u8>,
}

/// Damages open logs.
pub(super) fn run(run: &Run) {
    let all = files(true);
    let right = right_answers(&all);
    let places = if run.scale.long { run.of_release(PLACES_OF_RELEASE) } else { PLACES };
    let points: Vec<u64> = (0..places * WHEN.len() as u64).collect();
    run.plan(points.len() as u64);
    run.each(cores(), &points, |point| {
        let when = WHEN[*point as usize % WHEN.len()];
        let damage = Damage::drawn(&all, &mut Random::new(run.scale.seed ^ (point / WHEN.len() as u64) << 20));
        run.case(run.scale.seed, *point, &|| format!("{when:?}: {}", damage.what), || {
            let folder = Folder::with(&all, *point);
            Some(match when {
                When::Unread => answer(&folder.0, &damage, &right),
                When::BeforeWork => work(&folder.0, &damage),
            })
        });
    });
}

impl Damage {
    /// A flipped bit, a page of zeros, or a page that belongs elsewhere; three of four times in a segment.
    fn drawn(files: &Files, random: &mut Random) -> Damage {
        let names: Vec<&String> = files.keys().filter(|name| name.starts_with("segment")).collect();
        let name = if random.chance(75) { *random.pick(&names) } else { *random.pick(&files.keys().collect::<Vec<_>>()) };
        let whole = &files[name];
        loop {
            let (what, at, bytes) = match random.below(4) {
                0 | 1 => {
                    let at = random.below(whole.len());
                    ("a flipped bit", at, vec![whole[at] ^ 1 << random.below(8)])
                }
                2 => {
                    let page = page(whole, random);
                    ("a page of zeros", page.start, vec![0; page.len()])
                }
                _ => {
                    let (page, from) = (page(whole, random), *random.pick(&files.keys().collect::<Vec<_>>()));
                    let start = random.below(files[from].len()) / 512 * 512;
                    let theirs = &files[from][start..];
                    ("a page of another place", page.start, theirs[..page.len().min(theirs.len())].to_vec())
                }
            };
            // A page of zeros in the place of zeros is no damage.
            if whole[at..at + bytes.len()] != bytes {
                return Damage { what: format!("{what}, {} bytes at {at} of {name}", bytes.len()), name: name.clone(), at, bytes };
            }
        }
    }

    fn strike(&self, folder: &Path) {
        let file = File::options().write(true).open(folder.join(&self.name)).unwrap();
        file.write_all_at(&self.bytes, self.at as u64).unwrap();
    }
}

fn page(of: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let size = *random.pick(&PAGES);
    let at = random.below(of.len()) / size * size;
    at..(at + size).min(of.len())
}

/// A directory with the files of the log; gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &Files, point: u64) -> Folder {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = root.join(format!("trail-sim-open-{}-{point}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _unused = fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path, options: Options) -> trail_engine::Result<AuditLog> {
    AuditLog::open_with_clock(folder, options, Hands::at(START))
}

/// Asks a log under which something has changed.
fn answer(folder: &Path, damage: &Damage, right: &Answers) -> Verdict {
    let (mut verdict, log) = (Verdict::default(), open(folder, options(true)).unwrap());
    damage.strike(folder);
    // Nothing is gone: what cannot be read is said, by an error or as incomplete.
    let may_miss = 1..EVENTS + 1;
    let outcome = judge_open(&log, right, &may_miss, &mut verdict);
    if let crate::damage::Outcome::Shorter(missing) = outcome {
        verdict.lost_events(missing, format!("the last {missing} events are missing, and nobody is told"));
    }
    // What is unfolded hides the damage; without it the same holds.
    log.rest();
    if let crate::damage::Outcome::Shorter(missing) = judge_open(&log, right, &may_miss, &mut verdict) {
        verdict.lost_events(missing, format!("the last {missing} events are missing at rest, and nobody is told"));
    }
    verdict
}

/// Lets a log go on to write, flush and merge after something has changed under it; then looks at what is there after another start.
fn work(folder: &Path, damage: &Damage) -> Verdict {
    const MORE: u64 = 40;
    let mut verdict = Verdict::default();
    let log = open(folder, Options { merge_cpu_percent: 100, ..options(false) }).unwrap();
    damage.strike(folder);
    for first in [EVENTS + 1, EVENTS + 1 + MORE / 2] {
        append(&log, first..first + MORE / 2);
        log.flush().unwrap();
        settle(&log);
    }
    log.close().unwrap();
    drop(log);
    let log = match open(folder, options(true)) {
        Ok(log) => log,
        Err(error) if error.kind() == trail_engine::ErrorKind::Corrupt => return verdict,
        Err(error) => {
            verdict.wrong(format!("the log does not open again: {error:?}"));
            return verdict;
        }
    };
    let answers = ask(&log);
    let told = !log.health().problems.is_empty() || answers.incomplete;
    if let Ok(events) = &answers.events {
        for stored in events.iter().filter(|stored| stored.text != event(stored.sequence.0).as_bytes()) {
            verdict.altered_event(format!("event {} is not what was stored", stored.sequence));
        }
        let missing = (EVENTS + MORE).saturating_sub(events.len() as u64);
        if missing > 0 && !told {
            verdict.lost_events(missing, format!("{missing} events are missing, and nobody is told"));
        }
    }
    verdict
}
