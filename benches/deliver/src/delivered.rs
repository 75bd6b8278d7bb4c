//! What lies in a folder of files of events: how many lines and bytes, all of them read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use trail_rig::Result;

/// What was read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) files: u64,
    pub(crate) events: u64,
    /// Without packing and without line ends.
    pub(crate) bytes: u64,
}

/// Reads all files of events in a folder and those below it.
///
/// # Errors
/// When one cannot be read or unpacked, or does not end with a line.
pub(crate) fn read(folder: &Path) -> Result<Delivered> {
    let mut all = Delivered::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let below = read(&path)?;
            all = Delivered { files: all.files + below.files, events: all.events + below.events, bytes: all.bytes + below.bytes };
        } else if path.extension().is_some_and(|extension| extension == "zst") {
            let (events, bytes) = lines(&path)?;
            all = Delivered { files: all.files + 1, events: all.events + events, bytes: all.bytes + bytes };
        }
    }
    Ok(all)
}

fn lines(path: &Path) -> Result<(u64, u64)> {
    let mut reader = zstd::Decoder::new(BufReader::new(File::open(path)?))?;
    let mut piece = vec![0; 256 << 10];
    let (mut lines, mut bytes, mut last) = (0, 0, b'\n');
    loop {
        let count = reader.read(&mut piece)?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
        let ends = read.iter().filter(|byte| **byte == b'\n').count() as u64;
        (lines, bytes) = (lines + ends, bytes + count as u64 - ends);
        last = read.last().copied().unwrap_or(last);
    }
    if last == b'\n' { Ok((lines, bytes)) } else { Err(format!("{} ends within a line", path.display()).into()) }
}

/// Holds what was delivered against what should be.
///
/// # Errors
/// When they differ.
pub(crate) fn require(trail: &str, delivered: u64, owed: u64) -> Result<()> {
    if delivered == owed { Ok(()) } else { Err(format!("`{trail}` delivered {delivered} events, and {owed} pass its filter").into()) }
}
