//! Sealed segments to a folder, beside a plain copy of the same files.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use trail_rig::{Result, now};

use crate::ground::{Ground, row};
use crate::subject::{Subject, folder_sink, load_of};

/// So small that a million events fill some.
const SEGMENT_BYTES: &str = "8MiB";

/// Delivers what is sealed.
pub(crate) fn measure(ground: &Ground<'_>) -> Result<()> {
    let subject = Subject::start(ground, &[("head_age_max", "2s"), ("segment_bytes_max", SEGMENT_BYTES)])?;
    subject.store(&load_of(ground.arguments.events, ground.arguments.seed))?;
    subject.settle()?;
    let place = subject.place("archive");
    let start = now();
    subject.begin(&[json!({
        "name": "archive", "start": "oldest", "start_now": true, "sinks": [folder_sink(&place, json!({"format": "segments"}))],
    })])?;
    let (bytes, delivering) = still(&place, start)?;
    if bytes == 0 {
        row("sealed segments to a folder", "none was sealed: store more events", "the speed of a copy");
        return subject.stop();
    }
    let copying = copy(&subject.log(), &subject.place("copy"))?;
    let speed = |(bytes, time): (u64, Duration)| bytes as f64 / 1e6 / time.as_secs_f64().max(1e-9);
    let (ours, plain) = (speed((bytes, delivering)), speed(copying));
    row(
        "sealed segments to a folder",
        &format!("{ours:.0} MB/s of {:.0} MB; copied and synced file by file: {plain:.0} MB/s", bytes as f64 / 1e6),
        "the speed of a copy",
    );
    subject.stop()
}

/// Waits until no more comes; how many bytes came, and how long after the start the last of them.
fn still(place: &Path, start: std::time::Instant) -> Result<(u64, Duration)> {
    let (mut bytes, mut last) = (0, Duration::ZERO);
    while start.elapsed() < last + Duration::from_secs(3) {
        let now_there = if place.is_dir() { segments(place)? } else { 0 };
        if now_there != bytes {
            (bytes, last) = (now_there, start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok((bytes, last))
}

/// The bytes of segment files below a folder.
fn segments(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().is_dir() {
            bytes += segments(&entry.path())?;
        } else if is_segment(&entry.path()) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// In a log they begin with the word, in an archive they end with it.
fn is_segment(path: &Path) -> bool {
    let begins = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("segment-"));
    begins || path.extension().is_some_and(|extension| extension == "segment")
}

/// Copies the segments of a log, each synced before the next.
fn copy(log: &Path, to: &Path) -> Result<(u64, Duration)> {
    std::fs::create_dir(to)?;
    let (mut bytes, start) = (0, now());
    for entry in std::fs::read_dir(log)? {
        let entry = entry?;
        if is_segment(&entry.path()) {
            let copied = to.join(entry.file_name());
            bytes += std::fs::copy(entry.path(), &copied)?;
            File::open(&copied)?.sync_all()?;
        }
    }
    Ok((bytes, start.elapsed()))
}
