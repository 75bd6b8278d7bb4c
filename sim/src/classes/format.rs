//! Class 24: every format that was ever released is read, and a newer one is refused without a byte being touched.
//!
//! The released ones are committed directories (`tests/fixtures/format/log-v*`). For the newer ones the version of a committed file is raised in
//! each place that has one, with its checksum, so that nothing else is wrong with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::{AuditLog, ErrorKind, Options};

use crate::classes::expiry::checksum;
use crate::clock::{Hands, START};
use crate::damage::Files;
use crate::disk::Disk;
use crate::ledger::Verdict;
use crate::runner::Run;
use crate::subject::{append, options, read_all};

/// Versions that this build does not know.
const NEWER: [u16; 4] = [2, 3, 0x00ff, 0xffff];
/// How many events the committed directories have.
const EVENTS: usize = 45;

/// A place with a version: the file, where the version is, where the bytes under its checksum begin, where the checksum is, and whether the
/// version has one byte.
type Place = (String, usize, usize, usize, bool);

/// Reads old formats and refuses new ones.
pub(super) fn run(run: &Run) {
    let released: Vec<(String, Files)> = released();
    let mut cases: Vec<(String, Files, Option<String>)> = Vec::new();
    for (name, files) in &released {
        cases.push((format!("{name} is read"), files.clone(), None));
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
                cases.push((format!("{name}: {file} is of version {version} at byte {version_at}"), newer, Some(file.clone())));
            }
        }
    }
    // At least one released format, with five places each.
    run.plan((cases.len() as u64).max(1 + 5 * NEWER.len() as u64));
    let cases: Vec<(u64, (String, Files, Option<String>))> = (0..).zip(cases).collect();
    run.each(crate::runner::cores(), &cases, |(point, (what, files, newer))| {
        run.case(run.scale.seed, *point, &|| what.clone(), || {
            Some(match newer {
                None => is_read(files),
                Some(file) => is_refused(files, file),
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

fn is_read(files: &Files) -> Verdict {
    let mut verdict = Verdict::default();
    for read_only in [true, false] {
        let log = match open_files(files, read_only).1 {
            Ok(log) => log,
            Err(error) => {
                verdict.wrong(format!("it does not open: {error:?}"));
                continue;
            }
        };
        match read_all(&log) {
            Ok((events, gaps)) if events.len() == EVENTS && gaps.is_empty() => {}
            Ok((events, gaps)) => {
                verdict.lost_events((EVENTS - events.len().min(EVENTS)) as u64, format!("{} events, {gaps:?}", events.len()))
            }
            Err(error) => verdict.wrong(format!("it cannot be read: {error:?}")),
        }
        log.health().problems.into_iter().for_each(|problem| verdict.wrong(problem));
        log.verify(&Cancel::default()).unwrap().iter().for_each(|error| verdict.wrong(format!("verify: {error:?}")));
        if !read_only && append(&log, &[br#"{"id":"one more"}"#]).map(|receipt| receipt.accepted).ok() != Some(1) {
            verdict.wrong("it takes no more events");
        }
    }
    verdict
}

/// A segment of a newer version is left where it is and named; any other file keeps the log from being opened at all.
fn is_refused(files: &Files, newer: &str) -> Verdict {
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
            if disk.files().get(newer) != files.get(newer) {
                verdict.wrong("the newer segment was changed");
            }
        }
        Ok(_) => verdict.wrong("it is taken for one that is known"),
    }
    verdict
}
