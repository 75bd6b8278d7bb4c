//! [`Recording`]: what was written to a disk, request by request; [`Replay`]: the disk as a power cut may leave it.
//!
//! A disk may forget what was written since the last flush that it has answered, in any units of its own; what it has answered to a
//! flush, or to a write that goes through to the medium (FUA), it keeps. A cut after so many requests therefore has everything up to
//! the last flush, and of each 4 KiB written since then the old or the new bytes. Limits: smaller tears are left to the simulated disk
//! (ext4 itself does not survive half of its superblock); a write that was on its way beside a flush counts as flushed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::mounts::{system, text};
use crate::seed::Random;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const SECTOR: u64 = 512;
/// What a disk writes whole.
const UNIT: u64 = 4_096;

/// A request of the log.
#[derive(Debug, Clone, Copy)]
struct Request {
    /// Where on the disk, in bytes.
    place: u64,
    length: u64,
    flags: u64,
    /// Where its bytes stand in the log.
    at: u64,
}

/// The log of a disk.
#[derive(Debug)]
pub struct Recording {
    log: File,
    requests: Vec<Request>,
}

fn words<const N: usize>(log: &File, at: u64) -> io::Result<[u64; N]> {
    let mut words = [0; N];
    for (word, at) in words.iter_mut().zip((at..).step_by(8)) {
        let mut bytes = [0; 8];
        log.read_exact_at(&mut bytes, at)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(words)
}

impl Recording {
    /// Reads a log of dm-log-writes that has ended.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> io::Result<Recording> {
        let log = File::open(path)?;
        let [magic, version, count] = words(&log, 0)?;
        if (magic, version) != (MAGIC, 1) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("magic {magic:x}, version {version}")));
        }
        let (mut requests, mut at) = (Vec::new(), SECTOR);
        for _ in 0..count {
            let [sector, sectors, flags, _] = words(&log, at)?;
            let (place, length) = (sector * SECTOR, sectors * SECTOR);
            requests.push(Request { place, length, flags, at: at + SECTOR });
            at += SECTOR + if flags & DISCARD == 0 { length } else { 0 };
        }
        Ok(Recording { log, requests })
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many of them were flushes.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.requests.iter().filter(|request| request.flags & FLUSH != 0).count()
    }

    /// The last cut at or before this one that is right before a flush: most is pending there.
    #[must_use]
    pub fn before_flush(&self, cut: usize) -> usize {
        let mut before = self.requests.iter().take(cut + 1);
        before.rposition(|request| request.flags & FLUSH != 0).unwrap_or(cut)
    }

    fn apply(&self, request: &Request, image: &File, mut keeps: impl FnMut() -> bool) -> io::Result<()> {
        let end = request.place + request.length;
        let mut place = request.place;
        while place < end {
            let next = ((place / UNIT + 1) * UNIT).min(end);
            let mut bytes = vec![0; usize::try_from(next - place).unwrap()];
            if request.flags & DISCARD == 0 {
                self.log.read_exact_at(&mut bytes, request.at + place - request.place)?;
            }
            if keeps() {
                image.write_all_at(&bytes, place)?;
            }
            place = next;
        }
        Ok(())
    }
}

/// How much of what was pending a cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Of a hundred units so many are lost.
    pub percent: u64,
    /// Decides which.
    pub seed: u64,
}

/// The image of a recording at a flush; goes forward only.
#[derive(Debug)]
pub struct Replay<'r> {
    recording: &'r Recording,
    image: PathBuf,
    durable: usize,
}

impl<'r> Replay<'r> {
    /// Begins with the disk as it was before the recording, of which it takes a copy.
    ///
    /// # Errors
    /// Why that cannot be copied.
    pub fn begin(recording: &'r Recording, base: &Path, image: &Path) -> Result<Replay<'r>, String> {
        copy(base, image)?;
        Ok(Replay { recording, image: image.to_owned(), durable: 0 })
    }

    /// Writes the disk after so many requests; how many units were pending and how many of them are lost.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// When an earlier cut is asked for, or one past the end.
    pub fn cut(&mut self, requests: usize, loss: Loss, target: &Path) -> Result<(u64, u64), String> {
        self.cut_into(requests, loss, target).map_err(|e| format!("{}: {e}", target.display()))
    }

    fn cut_into(&mut self, requests: usize, loss: Loss, target: &Path) -> io::Result<(u64, u64)> {
        let recording = self.recording;
        let all = &recording.requests[..requests];
        let flushed = all.iter().rposition(|request| request.flags & FLUSH != 0).unwrap_or(0);
        assert!(flushed >= self.durable, "a replay does not go back");
        let image = OpenOptions::new().write(true).open(&self.image)?;
        all[self.durable..flushed].iter().try_for_each(|request| recording.apply(request, &image, || true))?;
        self.durable = flushed;
        copy(&self.image, target).map_err(io::Error::other)?;
        let cut = OpenOptions::new().write(true).open(target)?;
        let (mut random, mut pending, mut lost) = (Random::new(loss.seed), 0, 0);
        for request in &all[flushed..] {
            recording.apply(request, &cut, || {
                let keeps = request.flags & FUA != 0 || random.below(100) >= loss.percent;
                pending += 1;
                lost += u64::from(!keeps);
                keeps
            })?;
        }
        Ok((pending, lost))
    }
}

/// Copies an image, but for its holes.
///
/// # Errors
/// Why it cannot be copied.
pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    system(&["cp", "--sparse=auto", text(from), text(to)]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of a disk of eight units: `(unit, flags, byte)`, whole units of that byte; no unit: a flush alone.
    fn log(path: &Path, requests: &[(Option<u64>, u64, u8)]) {
        let mut bytes = [MAGIC, 1, requests.len() as u64, SECTOR].map(u64::to_le_bytes).concat();
        bytes.resize(512, 0);
        for (unit, flags, byte) in requests {
            let sectors = if unit.is_some() { UNIT / SECTOR } else { 0 };
            let begin = bytes.len();
            bytes.extend([unit.unwrap_or(0) * UNIT / SECTOR, sectors, *flags, 0].map(u64::to_le_bytes).concat());
            bytes.resize(begin + 512, 0);
            bytes.resize(begin + 512 + usize::try_from(sectors * SECTOR).unwrap(), *byte);
        }
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_cut_keeps_what_was_flushed_and_loses_of_the_rest_what_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        log(&path("log"), &[(Some(0), 0, 1), (None, FLUSH, 0), (Some(0), 0, 2), (Some(1), FUA, 3), (Some(2), 0, 4), (None, FLUSH, 0)]);
        std::fs::write(path("base"), vec![9; 8 * 4_096]).unwrap();
        let recording = Recording::read(&path("log")).unwrap();
        assert_eq!((recording.len(), recording.flushes(), recording.before_flush(4), recording.before_flush(5)), (6, 2, 1, 5));
        let mut replay = Replay::begin(&recording, &path("base"), &path("durable")).unwrap();
        let mut cut = |requests, percent| {
            let counts = replay.cut(requests, Loss { percent, seed: 7 }, &path("cut")).unwrap();
            let bytes = std::fs::read(path("cut")).unwrap();
            (counts, [0, 1, 2, 3].map(|unit| bytes[unit * 4_096 + 77]))
        };
        assert_eq!(cut(1, 100), ((1, 1), [9, 9, 9, 9]));
        assert_eq!(cut(1, 0), ((1, 0), [1, 9, 9, 9]));
        assert_eq!(cut(2, 100), ((0, 0), [1, 9, 9, 9]));
        assert_eq!(cut(5, 100), ((3, 2), [1, 3, 9, 9]));
        assert_eq!(cut(5, 0), ((3, 0), [2, 3, 4, 9]));
        assert_eq!(cut(6, 100), ((0, 0), [2, 3, 4, 9]));
    }
}
