//! [`disk`]: how much space a data directory takes.

use std::path::Path;

use crate::failure::Result;

/// Disk space of a directory, in bytes of allocated blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// All files.
    pub all: u64,
    /// Without journals and the files that wait to become one: what stays when everything is flushed.
    pub at_rest: u64,
}

/// Adds up a directory and those below it.
///
/// # Errors
/// When a file cannot be looked at.
pub fn disk(directory: &Path) -> Result<Disk> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = Disk::default();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            let below = disk(&entry.path())?;
            sum.all += below.all;
            sum.at_rest += below.at_rest;
            continue;
        }
        let (bytes, name) = (meta.blocks() * 512, entry.file_name().to_string_lossy().into_owned());
        sum.all += bytes;
        sum.at_rest += if name.contains("journal") || name.contains("spare") { 0 } else { bytes };
    }
    Ok(sum)
}
