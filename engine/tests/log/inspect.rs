//! Looking at a directory: everything that is wrong is said at once, a bad sector ends nothing and is not taken for damage, and nothing is
//! mapped.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use trail_engine::budget::Cancel;
use trail_engine::status::Repaired;
use trail_engine::storage::{File, Storage};
use trail_engine::{AuditLog, Inspected, Step, View};

use crate::support::log::{append, open, options};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::{Disk, Failure, Fault, Kind};

type Files = BTreeMap<String, Vec<u8>>;

/// In segments, 2,500 each: two blocks a segment. The rest is in the journal.
const FLUSHED: u64 = 5_000;
const EVENTS: u64 = 5_600;

/// Two segments and a journal with events of its own.
fn files() -> Files {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    let event = |i: u64| format!(r#"{{"eventId":"id-{i}","eventName":"N{}","note":"{:x}"}}"#, i % 3, i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for i in 1..=EVENTS {
        if i % 100 == 1 {
            append(&log, &(i..i + 100).map(event).collect::<Vec<_>>()).unwrap();
        }
        if i == FLUSHED / 2 || i == FLUSHED {
            log.flush().unwrap();
        }
    }
    memory.files()
}

fn live<'a>(files: &'a Files, start: &str) -> Vec<&'a String> {
    files.keys().filter(|name| name.starts_with(start) && name.len() == start.len() + 16).collect()
}

/// A disk of which stretches cannot be read: by a call that is an error; a map would end the process.
#[derive(Debug, Clone)]
struct Scratched {
    disk: Disk,
    scratches: Arc<Vec<(String, Range<u64>)>>,
}

#[derive(Debug)]
struct ScratchedFile {
    below: Arc<dyn File>,
    scratches: Vec<Range<u64>>,
}

impl Scratched {
    fn new(files: &Files, scratches: &[(&str, Range<u64>)]) -> Scratched {
        let scratches = scratches.iter().map(|(name, range)| ((*name).to_owned(), range.clone())).collect();
        Scratched { disk: Disk::of(files.clone()), scratches: Arc::new(scratches) }
    }
}

impl Storage for Scratched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let scratches = self.scratches.iter().filter(|(file, _)| file == name).map(|(_, range)| range.clone()).collect();
        Ok(Arc::new(ScratchedFile { below: self.disk.open(name)?, scratches }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }
}

impl File for ScratchedFile {
    fn length(&self) -> io::Result<u64> {
        self.below.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        match self.scratches.iter().any(|scratch| scratch.start < end && offset < scratch.end) {
            true => Err(io::Error::from_raw_os_error(Failure::EIO.errno)),
            false => self.below.read_at(buffer, offset),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.below.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.below.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.below.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.below.sync()
    }

    fn view(&self) -> io::Result<View> {
        panic!("a file was mapped: on a bad sector that is a SIGBUS");
    }
}

fn inspect(storage: &Scratched) -> Inspected {
    let clock = Hands::at(START);
    AuditLog::inspect_storage(Arc::new(storage.clone()), &options(), clock, &Cancel::default(), Arc::new(|_| ())).unwrap()
}

fn repair(storage: &Scratched) -> Repaired {
    let clock = Hands::at(START);
    AuditLog::repair_storage(Arc::new(storage.clone()), &options(), clock, false, &Cancel::default(), Arc::new(|_| ())).unwrap()
}

#[test]
fn of_a_whole_log_nothing_is_said() {
    let looked = inspect(&Scratched::new(&files(), &[]));
    assert_eq!((looked.found, looked.unread), (vec![], vec![]));
    assert_eq!((looked.segments, looked.events), (2, EVENTS));
}

/// Wherever a sector of any file is bad: that file and place are named, the damage to another file is found all the same, and a repair
/// changes nothing.
#[test]
fn a_bad_sector_is_named_and_ends_nothing() {
    let mut damaged = files();
    let segments: Vec<String> = live(&damaged, "segment-").into_iter().cloned().collect();
    let journals: Vec<String> = live(&damaged, "journal-").into_iter().cloned().collect();
    let (segment, other, journal) = (&segments[0], &segments[1], &journals[0]);
    let middle = damaged[other].len() / 2;
    damaged.get_mut(other).unwrap()[middle] ^= 1;
    let mut tried = 0;
    for name in [segment.as_str(), journal.as_str(), "catalog"] {
        let length = damaged[name].len() as u64;
        for start in (0..length.min(200_000)).step_by(4_096 * 2) {
            let sector = start..length.min(start + 512);
            let storage = Scratched::new(&damaged, &[(name, sector)]);
            let looked = inspect(&storage);
            let place = format!("{name}: {} bytes at byte {start} cannot be read: ", (length - start).min(4_096));
            assert!(looked.unread[0].starts_with(&place) && looked.unread[0].contains("os error 5"), "{name} {start}: {looked:?}");
            assert!(looked.unread.iter().all(|line| line.starts_with(name)), "{name} {start}: {looked:?}");
            assert!(looked.found.iter().any(|line| line.starts_with(other.as_str())), "{name} {start}: {looked:?}");
            assert!(looked.found.iter().all(|line| !line.starts_with(name)), "{name} {start} is taken for damaged: {looked:?}");
            let repaired = repair(&storage);
            assert_eq!((&repaired.unread, &repaired.found, repaired.done.len()), (&looked.unread, &looked.found, 0), "{name} {start}");
            assert_eq!(storage.disk.files(), damaged, "{name} {start}: a repair has changed something");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
}

/// The events of a block that cannot be read are counted out, those of the other are there.
#[test]
fn what_a_bad_sector_leaves_is_counted() {
    let files = files();
    let segment = live(&files, "segment-")[0].clone();
    let length = files[&segment].len() as u64;
    let mut counts: Vec<String> = Vec::new();
    for start in (0..length).step_by(4_096) {
        let looked = inspect(&Scratched::new(&files, &[(&segment, start..length.min(start + 1))]));
        let count = looked.unread.iter().find_map(|line| {
            line.strip_prefix(&format!("{segment}: "))?.strip_suffix(" of 2500 events, sequences 1 to 2500, can still be read")
        });
        counts.extend(count.map(str::to_owned));
    }
    assert!(counts.iter().any(|count| count == "452" || count == "2048"), "{counts:?}");
}

#[test]
fn a_damaged_catalog_hides_nothing() {
    let mut damaged = files();
    let (segment, journal) = (live(&damaged, "segment-")[0].clone(), live(&damaged, "journal-")[0].clone());
    let middle = damaged[&segment].len() / 3;
    damaged.get_mut(&segment).unwrap()[middle] ^= 4;
    damaged.get_mut(&journal).unwrap()[200] ^= 1;
    damaged.get_mut("catalog").unwrap()[20] ^= 1;
    let looked = inspect(&Scratched::new(&damaged, &[]));
    for name in ["catalog", &segment, &journal] {
        assert!(looked.found.iter().any(|line| line.starts_with(name)), "{name}: {looked:?}");
    }
    assert!(looked.found.iter().any(|line| line.starts_with(&segment) && line.contains(" of 2500 events, ")), "{looked:?}");
    assert_eq!((looked.segments, looked.unread.len()), (2, 0), "{looked:?}");
    damaged.remove("catalog");
    let looked = inspect(&Scratched::new(&damaged, &[]));
    assert!(
        looked.found.contains(&"catalog is missing".to_owned()) && looked.found.iter().any(|line| line.starts_with(&segment)),
        "{looked:?}"
    );
}

/// A read that fails once and goes well the next time is a note: everything was read.
#[test]
fn what_is_read_at_the_second_try_is_no_damage() {
    let disk = Disk::of(files());
    disk.arm(Fault::once(&[Kind::Read], 1, Failure::EIO));
    let looked = inspect(&Scratched { disk: disk.clone(), scratches: Arc::default() });
    assert!(!disk.disarm());
    assert_eq!((looked.found, looked.unread), (vec![], vec![]));
    assert!(looked.notes.iter().any(|note| note.contains("at the second try")), "{:?}", looked.notes);
}

#[test]
fn how_far_it_is_covers_every_file_and_ends_at_its_end() {
    let files = files();
    let steps: Arc<Mutex<Vec<(String, u64, u64)>>> = Arc::default();
    let told = steps.clone();
    let on_step = Arc::new(move |step: Step<'_>| told.lock().unwrap().push((step.about.to_owned(), step.done, step.total)));
    let mut damaged = files.clone();
    let segment = live(&files, "segment-")[0].clone();
    damaged.get_mut(&segment).unwrap()[5_000] ^= 1;
    AuditLog::repair_storage(Arc::new(Disk::of(damaged)), &options(), Hands::at(START), false, &Cancel::default(), on_step).unwrap();
    let steps = steps.lock().unwrap();
    for name in live(&files, "segment-").into_iter().chain(live(&files, "journal-")).chain([&"catalog".to_owned()]) {
        assert!(steps.iter().any(|(about, ..)| about == name), "nothing was said of {name}");
    }
    assert!(steps.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].2 <= pair[1].2), "{steps:?}");
    assert!(steps.iter().all(|(_, done, total)| done <= total), "{steps:?}");
    let bytes: u64 = files.iter().filter(|(name, _)| !name.contains("spare")).map(|(_, bytes)| bytes.len() as u64).sum();
    assert!(steps.last().is_some_and(|(_, done, total)| done == total && *total >= bytes), "{:?} of {bytes}", steps.last());
}
