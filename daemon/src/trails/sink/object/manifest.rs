//! [`Manifest`]: which segments of a day are in an archive, and what each file must be.
//!
//! `TRAIL/segments/day=2026-11-22/manifest.json`, replaced as a whole with each segment that is added, after the segment itself is there: what it names exists.
//! Limits: one writer; two trails must not share a folder.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trail_engine::SegmentInfo;

/// The version of the form.
pub const VERSION: u32 = 1;
/// The last part of its key.
pub const NAME: &str = "manifest.json";

/// The segments of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// The UTC day on which the events were received: `2026-11-22`.
    pub day: String,
    /// The segments, in the order of their sequences.
    pub segments: Vec<Archived>,
}

/// A segment in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Its id, in 16 hex digits.
    pub id: String,
    /// The name of its file, beside the manifest.
    pub file: String,
    /// Its first sequence.
    pub first_sequence: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// Its smallest event time.
    pub event_time_min: String,
    /// Its largest event time.
    pub event_time_max: String,
    /// How many events it has.
    pub events: u64,
    /// The length of the file.
    pub bytes: u64,
    /// The SHA-256 of the file, in hex.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a day without segments.
    #[must_use]
    pub fn of(day: &str) -> Manifest {
        Manifest { version: VERSION, day: day.to_owned(), segments: Vec::new() }
    }

    /// Reads one.
    ///
    /// # Errors
    /// A sentence when it is none, or of a newer version.
    pub fn read(bytes: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|e| format!("it is no manifest: {e}"))?;
        let is_plain = |file: &str| !file.is_empty() && !file.contains('/') && !file.starts_with('.');
        match manifest.segments.iter().find(|segment| !is_plain(&segment.file)) {
            _ if manifest.version != VERSION => Err(format!("it has version {}; {VERSION} can be read", manifest.version)),
            Some(segment) => Err(format!("`{}` is no name of a file", segment.file)),
            None => Ok(manifest),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// None in practice.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec_pretty(self).map_err(|e| format!("a manifest cannot be written: {e}"))
    }

    /// Takes a segment in, in place of one with the same file. The id alone may be that of a log that is gone.
    pub fn take(&mut self, segment: Archived) {
        self.segments.retain(|known| known.file != segment.file);
        self.segments.push(segment);
        self.segments.sort_by_key(|segment| segment.first_sequence);
    }
}

/// The name of the file of a segment.
#[must_use]
pub fn file_name(segment: &SegmentInfo) -> String {
    format!("{:020}-{:020}-{}.segment", segment.first_sequence.0, segment.last_sequence.0, segment.id)
}

impl Archived {
    /// What is said of a segment with this file.
    #[must_use]
    pub fn of(segment: &SegmentInfo, file: &[u8]) -> Archived {
        Archived {
            id: segment.id.to_string(),
            file: file_name(segment),
            first_sequence: segment.first_sequence.0,
            last_sequence: segment.last_sequence.0,
            event_time_min: segment.time_min.to_string(),
            event_time_max: segment.time_max.to_string(),
            events: segment.events,
            bytes: file.len() as u64,
            sha256: sum(file),
        }
    }

    /// What is wrong with bytes that should be its file.
    #[must_use]
    pub fn problem(&self, file: &[u8]) -> Option<String> {
        if file.len() as u64 != self.bytes {
            return Some(format!("it has {} bytes, and had {}", file.len(), self.bytes));
        }
        (sum(file) != self.sha256).then(|| "its SHA-256 differs".to_owned())
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use trail_engine::id::{Day, SegmentId, Sequence, Timestamp};

    use super::*;

    fn archived(id: u64, first: u64, file: &[u8]) -> Archived {
        let info = SegmentInfo {
            id: SegmentId(id),
            day: Day(20_779),
            first_sequence: Sequence(first),
            last_sequence: Sequence(first + 9),
            time_min: Timestamp(0),
            time_max: Timestamp(1_000_000_000),
            events: 10,
            event_bytes: 100,
            file_bytes: file.len() as u64,
            sealed: true,
            readable: true,
            crc32: 0,
        };
        Archived::of(&info, file)
    }

    #[test]
    fn segments_stand_once_and_in_order_and_what_is_altered_is_found() {
        let mut manifest = Manifest::of("2026-11-22");
        for (id, first) in [(7, 21), (5, 1), (7, 21), (6, 11)] {
            manifest.take(archived(id, first, b"file"));
        }
        // Of a log from before, whose ids were given again.
        let mut both = manifest.clone();
        both.take(archived(7, 900, b"other"));
        assert_eq!(both.segments.len(), 4);
        let ids: Vec<&str> = manifest.segments.iter().map(|segment| segment.id.as_str()).collect();
        assert_eq!(ids, ["0000000000000005", "0000000000000006", "0000000000000007"]);
        assert_eq!(Manifest::read(&manifest.write().unwrap()), Ok(manifest.clone()));
        let segment = &manifest.segments[0];
        assert_eq!(segment.file, "00000000000000000001-00000000000000000010-0000000000000005.segment");
        assert_eq!(segment.problem(b"file"), None);
        assert!(segment.problem(b"files").unwrap().contains("5 bytes, and had 4"));
        assert!(segment.problem(b"fire").unwrap().contains("SHA-256"));
        manifest.segments[0].file = "../../etc/passwd".into();
        assert!(Manifest::read(&manifest.write().unwrap()).unwrap_err().contains("no name of a file"));
        manifest.version = 2;
        assert!(Manifest::read(&manifest.write().unwrap()).unwrap_err().contains("version 2"));
    }
}
