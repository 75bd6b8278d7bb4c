//! Class 24: every format that was ever released is read, and a newer one is refused without a byte being touched.
//!
//! The released ones are committed directories (`tests/fixtures/format/log-v*`). For the newer ones the version of a committed file is raised in
//! each place that has one, with its checksum, so that nothing else is wrong with it. What is read is held against the ledger, event by event: its bytes and
//! its sequence.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::{AuditLog, ErrorKind, Options};

use crate::classes::expiry::checksum;
use crate::clock::{Hands, START};
use crate::damage::Files;
use crate::disk::Disk;
use crate::ledger::Verdict;
use crate::released::{events_of, segment_of};
use crate::runner::Run;
use crate::subject::{append, options, read_all};

/// Versions that this build does not know.
const NEWER: [u16; 4] = [2, 3, 0x00ff, 0xffff];
/// What an old format must go on with.
const MORE: &[u8] = br#"{"id":"one more"}"#;

/// A place with a version: the file, where the version is, where the bytes under its checksum begin, where the checksum is, and whether the
/// version has one byte.
type Place = (String, usize, usize, usize, bool);

/// A directory, changed or not.
struct Case {
    what: String,
    /// The name of the committed directory.
    directory: String,
    files: Files,
    /// The file of a newer version in it.
    newer: Option<String>,
}

/// Reads old formats and refuses new ones.
pub(super) fn run(run: &Run) {
    let released: Vec<(String, Files)> = released();
    let mut cases: Vec<Case> = Vec::new();
    for (name, files) in &released {
        cases.push(Case { what: format!("{name} is read"), directory: name.clone(), files: files.clone(), newer: None });
        for (file, version_at, from, checksum_at, is_byte) in places(files) {
            for version in NEWER {
                let mut newer = files.clone();
                let bytes = newer.get_mut(&file).unwrap();
                if is_byte {
                    bytes[version_at] = version as u8;
                } else {
                    bytes[version_at..version_at + 2].copy_from_slice(&version.to_le_bytes());
                }
                let crc = checksum(&bytes[from..checksum_at]);
                bytes[checksum_at..checksum_at + 4].copy_from_slice(&crc.to_le_bytes());
                let what = format!("{name}: {file} is of version {version} at byte {version_at}");
                cases.push(Case { what, directory: name.clone(), files: newer, newer: Some(file.clone()) });
            }
        }
    }
    // At least one released format, with five places each.
    run.plan((cases.len() as u64).max(1 + 5 * NEWER.len() as u64));
    let cases: Vec<(u64, Case)> = (0..).zip(cases).collect();
    run.each(crate::runner::cores(), &cases, |(point, Case { what, directory, files, newer })| {
        run.case(run.scale.seed, *point, &|| what.clone(), || {
            let ledger = events_of(directory).unwrap_or_else(|| panic!("{directory} has no ledger in released.rs"));
            Some(match newer {
                None => is_read(files, &ledger),
                Some(file) => is_refused(files, file, segment_of(directory, file), &ledger),
            })
        });
    });
}

/// The committed directories that are whole.
fn released() -> Vec<(String, Files)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/format");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name.starts_with("log-") && !name.ends_with("damaged") {
            let files = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path());
            let read = |file: PathBuf| (file.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&file).unwrap());
            found.insert(name, files.map(read).collect());
        }
    }
    found.into_iter().collect()
}

/// Where versions stand: in the catalog, a journal's header and its first frame, a segment's header and its trailer.
fn places(files: &Files) -> Vec<Place> {
    let mut places = Vec::new();
    for (name, bytes) in files {
        match name.split('-').next() {
            Some("catalog") => places.push((name.clone(), 8, 0, bytes.len() - 4, false)),
            Some("journal") => {
                places.push((name.clone(), 8, 0, 60, false));
                places.push((name.clone(), 64 + 4, 64, 64 + 60, true));
            }
            Some("segment") => {
                let trailer = bytes.len() - 32;
                places.push((name.clone(), 8, 0, 28, false));
                places.push((name.clone(), trailer + 16, trailer, trailer + 20, false));
            }
            _ => {}
        }
    }
    places
}

fn open_files(files: &Files, read_only: bool) -> (Disk, trail_engine::Result<AuditLog>) {
    let disk = Disk::of(files.clone());
    let options = Options { read_only, retention: Options::default().retention, ..options() };
    let log = AuditLog::open_storage(Arc::new(disk.clone()), options, Hands::at(START));
    (disk, log)
}

/// Holds what a log has against what it was given: all of it but some sequences, which the answer must name, in order and byte for byte.
fn compare(log: &AuditLog, ledger: &[Vec<u8>], unread: Option<Range<u64>>, verdict: &mut Verdict) {
    let (events, gaps) = match read_all(log) {
        Ok(answer) => answer,
        Err(error) => return verdict.wrong(format!("it cannot be read: {error:?}")),
    };
    let is_unread = |sequence: u64| unread.as_ref().is_some_and(|unread| unread.contains(&sequence));
    let expected: Vec<(u64, &[u8])> = (1..).zip(ledger.iter().map(Vec::as_slice)).filter(|(sequence, _)| !is_unread(*sequence)).collect();
    let stored: Vec<(u64, &[u8])> = events.iter().map(|event| (event.sequence.0, event.text.as_slice())).collect();
    let missing = expected.iter().filter(|event| !stored.contains(event)).count();
    if missing > 0 {
        verdict.lost_events(missing as u64, format!("{missing} of {} events are not there as they were stored", expected.len()));
    } else if stored != expected {
        verdict.altered_event(format!("{} events where {} were stored, in order or not", stored.len(), expected.len()));
    }
    let named: Vec<Range<u64>> = gaps.iter().map(|gap| gap.first_sequence.0..gap.last_sequence.0 + 1).collect();
    if named != Vec::from_iter(unread) {
        verdict.wrong(format!("the answer lacks other events than it should: {gaps:?}"));
    }
}

fn is_read(files: &Files, ledger: &[Vec<u8>]) -> Verdict {
    let mut verdict = Verdict::default();
    for read_only in [true, false] {
        let (disk, opened) = open_files(files, read_only);
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                verdict.wrong(format!("it does not open: {error:?}"));
                continue;
            }
        };
        compare(&log, ledger, None, &mut verdict);
        log.health().problems.into_iter().for_each(|problem| verdict.wrong(problem));
        log.verify(&Cancel::default()).unwrap().iter().for_each(|error| verdict.wrong(format!("verify: {error:?}")));
        if !read_only {
            goes_on(log, &disk, ledger, &mut verdict);
        }
    }
    verdict
}

/// An old log takes events, and has all of them, old and new: now, when this build has written them to a segment, and when it was started again.
fn goes_on(log: AuditLog, disk: &Disk, ledger: &[Vec<u8>], verdict: &mut Verdict) {
    if append(&log, &[MORE]).map(|receipt| receipt.accepted).ok() != Some(1) {
        verdict.wrong("it takes no more events");
    }
    let ledger = [ledger, &[MORE.to_vec()]].concat();
    compare(&log, &ledger, None, verdict);
    log.flush().and_then(|()| log.close()).unwrap_or_else(|error| verdict.wrong(format!("it cannot be flushed and closed: {error:?}")));
    match open_files(&disk.files(), true).1 {
        Ok(log) => compare(&log, &ledger, None, verdict),
        Err(error) => verdict.wrong(format!("it does not open again: {error:?}")),
    }
}

/// A segment of a newer version is left where it is and named, and all other events are read; any other file keeps the log from being opened at all.
fn is_refused(files: &Files, newer: &str, unread: Option<Range<u64>>, ledger: &[Vec<u8>]) -> Verdict {
    let mut verdict = Verdict::default();
    let (disk, opened) = open_files(files, false);
    match opened {
        Err(error) if error.kind() == ErrorKind::Unsupported && error.path() == Some(newer) => {
            if disk.files() != *files {
                verdict.wrong("it is refused, but files were changed");
            }
        }
        Err(error) => verdict.wrong(format!("it is refused with another error: {error:?}")),
        Ok(log) if newer.starts_with("segment") => {
            let problems = log.health().problems;
            if !problems.iter().any(|problem| problem.contains(newer) && problem.contains("Unsupported")) {
                verdict.wrong(format!("nothing is said of the newer segment: {problems:?}"));
            }
            compare(&log, ledger, unread, &mut verdict);
            if disk.files().get(newer) != files.get(newer) {
                verdict.wrong("the newer segment was changed");
            }
        }
        Ok(_) => verdict.wrong("it is taken for one that is known"),
    }
    verdict
}
