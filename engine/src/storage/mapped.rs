//! The one place with `unsafe`: a finished file as memory.

use std::fs::File;
use std::io;

use memmap2::{Mmap, UncheckedAdvice};

use super::seam::{Bytes, View};

/// A mapped file.
struct Mapped(Mmap);

impl Bytes for Mapped {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[expect(unsafe_code, reason = "giving back mapped pages is unsafe for maps that are written")]
    fn release(&self) {
        // SAFETY: the map is shared and read-only, and the file is never written again. Pages that are given back are read
        // from the file again, with the same bytes, by whoever touches them next.
        let _unused = unsafe { self.0.unchecked_advise(UncheckedAdvice::DontNeed) };
    }
}

/// How many bytes of mapped files the process counts as its own, its program included; unknown where the system does not say.
pub(crate) fn mapped_bytes() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = counts.split(' ').nth(2)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Maps a whole file for reading.
///
/// Only for files that were finished before: nobody writes or shortens them any more, and the engine holds the
/// directory's lock. A read error of the medium under a map is a SIGBUS; `DESIGN.md` says so among what is not promised, and
/// who looks for damage reads by calls (`by_calls`).
#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this module is the only one that does")]
pub(crate) fn map(file: &File) -> io::Result<View> {
    if file.metadata()?.len() == 0 {
        return Ok(View::new(Vec::new()));
    }
    // SAFETY: the file is a finished segment. The engine never writes to or truncates one: segments are written under a
    // temporary name, synced, renamed, and from then on only read and at last unlinked, which leaves the mapping intact.
    // Another process is kept out by the directory lock. If somebody edits the file all the same, the bytes seen through the
    // map change, which the checksums find: no value in it is trusted beyond them, and none is a pointer or length that
    // is used unchecked.
    let map = unsafe { Mmap::map(file)? };
    Ok(View::of(Mapped(map)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 64 << 20;

    /// Other tests of the process map files too, so there must be much more than they have.
    #[test]
    fn what_is_released_is_no_longer_counted_and_reads_the_same() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &vec![7; BYTES]).unwrap();
        let view = map(&file).unwrap();
        let before = mapped_bytes().unwrap();
        assert!(view.iter().all(|byte| *byte == 7));
        let touched = mapped_bytes().unwrap();
        assert!(touched >= before + BYTES as u64 / 2, "{before} {touched}");
        view.release();
        let released = mapped_bytes().unwrap();
        assert!(released <= touched - BYTES as u64 / 2, "{touched} {released}");
        assert!(view.iter().all(|byte| *byte == 7));
    }
}
