//! What a failed case leaves in a folder, so that it can be judged again though its life cannot be lived again: threads take other turns each time.
//!
//! Beside the files of the directory, as they were left, there is `ledger`: a line with the time, the seed and the number of the case, then every batch with
//! its events, one a line.

use std::fs;
use std::path::{Path, PathBuf};

use trail_engine::id::Timestamp;

use crate::disk::Image;
use crate::ledger::Ledger;

const LEDGER: &str = "ledger";

/// A case that can be judged again.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What was left.
    pub image: Image,
    /// What was known then.
    pub ledger: Ledger,
    /// The wall time.
    pub now: Timestamp,
    /// The seed of the life.
    pub seed: u64,
    /// The number of the case in it.
    pub point: u64,
}

impl Kept {
    /// Writes it to a folder of its own among the temporary ones; where, and how it is judged again.
    #[must_use]
    pub fn keep(&self) -> String {
        let folder = std::env::temp_dir().join(format!("trail-sim-1-{}-{}", self.seed, self.point));
        match self.write(&folder) {
            Ok(()) => format!("what was left is kept; again: cargo run --release -p trail-sim -- --again {}", folder.display()),
            Err(error) => format!("what was left could not be kept in {}: {error}", folder.display()),
        }
    }

    fn write(&self, folder: &PathBuf) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        self.image.named().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))?;
        let mut text = format!("{} {} {}\n", self.now.0, self.seed, self.point).into_bytes();
        text.extend(self.ledger.to_text());
        fs::write(folder.join(LEDGER), text)
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// Why there is nothing to judge.
    pub fn read(folder: &Path) -> Result<Kept, String> {
        let said = |error: std::io::Error| format!("{}: {error}", folder.display());
        let text = fs::read(folder.join(LEDGER)).map_err(said)?;
        let wrong = || format!("{}: no ledger", folder.display());
        let end = text.iter().position(|byte| *byte == b'\n').ok_or_else(wrong)?;
        let head: Vec<i64> = String::from_utf8_lossy(&text[..end]).split(' ').filter_map(|number| number.parse().ok()).collect();
        let [now, seed, point] = head[..] else { return Err(wrong()) };
        let ledger = Ledger::of_text(&text[end + 1..]).ok_or_else(wrong)?;
        let mut image = Image::default();
        for entry in fs::read_dir(folder).map_err(said)? {
            let path = entry.map_err(said)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name != LEDGER {
                image.put(name, fs::read(&path).map_err(said)?);
            }
        }
        Ok(Kept { image, ledger, now: Timestamp(now), seed: seed as u64, point: point as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::START;

    #[test]
    fn what_is_kept_is_read_again() {
        let mut ledger = Ledger::default();
        let id = ledger.sent(vec![b"{\"a\":1}".to_vec(), b"{\"a\":2}".to_vec()], START);
        let receipt = trail_engine::Receipt { accepted: 2, first_sequence: Some(trail_engine::id::Sequence(7)), ..Default::default() };
        ledger.acknowledged(id, &receipt);
        ledger.sent(vec![b"{}".to_vec()], Timestamp(START.0 + 90_000_000_000_000));
        let image = Image::of([("catalog".to_owned(), vec![0, 255, 10])]);
        let kept = Kept { image: image.clone(), ledger: ledger.clone(), now: START, seed: u64::MAX >> 1, point: 3 };
        let folder = std::env::temp_dir().join(format!("trail-sim-kept-{}", std::process::id()));
        kept.write(&folder).unwrap();
        let again = Kept::read(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((again.image.files(), again.now, again.seed, again.point), (image.files(), START, u64::MAX >> 1, 3));
        assert_eq!(format!("{:?}", again.ledger.to_text()), format!("{:?}", ledger.to_text()));
        assert!(again.ledger.is_acknowledged(0) && !again.ledger.is_acknowledged(1));
    }
}
