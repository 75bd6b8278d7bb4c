//! [`Watched`]: the files that a sink was made of, and whether they are others by now.
//!
//! Keys are rotated: a token that is lent for an hour is written into its file again before it ends. A sink reads its files when it is made; whoever works with it
//! asks here whether it must be made again. Only a hash of what was in them is kept. Limits: the first 4 MiB of a file; one that cannot be read, or does not answer
//! in a second, is taken for unchanged, because what was read of it before may still do. Files that hang take one thread, not one for each look.

use std::fs::{File, metadata};
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::backend::Hands;

/// The member of a definition that names a file and is no secret.
const CA_FILE: &str = "ca_file";
/// How much of a file is looked at.
const BYTES_MAX: u64 = 4 << 20;
/// The longest wait for the files.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Files, and the hash of what was in them.
#[derive(Debug, Clone)]
pub struct Watched {
    files: Vec<String>,
    hash: Option<[u8; 32]>,
    hands: Hands,
    /// One look at a time, until the files have answered.
    turn: Arc<Semaphore>,
}

impl Watched {
    /// The files that the members of a sink name, as they are now. Reads them: for a thread that may.
    #[must_use]
    pub fn of(members: &Map<String, Value>, hands: &Hands) -> Watched {
        let files = named(members);
        Watched { hash: hash(&files).ok(), files, hands: hands.clone(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Whether they hold something else by now.
    pub async fn has_changed(&self) -> bool {
        !self.files.is_empty() && self.look().await.is_some_and(|hash| Some(hash) != self.hash)
    }

    /// The same files as they are now.
    pub async fn as_it_is(self) -> Watched {
        Watched { hash: self.look().await.or(self.hash), ..self }
    }

    async fn look(&self) -> Option<[u8; 32]> {
        let files = self.files.clone();
        self.look_by(move || hash(&files).ok()).await
    }

    /// `None` also while an earlier look still waits for the files.
    async fn look_by(&self, read: impl FnOnce() -> Option<[u8; 32]> + Send + 'static) -> Option<[u8; 32]> {
        let turn = self.turn.clone().try_acquire_owned().ok()?;
        let look = move || {
            let _turn = turn;
            Ok(read())
        };
        timeout(LOOK_MAX, self.hands.folders.run(look)).await.ok()?.ok()?
    }
}

/// The files that members name: secrets, those among headers too, and authorities.
fn named(members: &Map<String, Value>) -> Vec<String> {
    let file = |value: &Value| value.get("file").and_then(Value::as_str).map(str::to_owned);
    let inside = |value: &Value| value.as_object().into_iter().flat_map(Map::values).filter_map(file).collect::<Vec<_>>();
    let mut files: Vec<String> = members.values().flat_map(|value| file(value).into_iter().chain(inside(value))).collect();
    files.extend(members.get(CA_FILE).and_then(Value::as_str).map(str::to_owned));
    files
}

fn hash(files: &[String]) -> io::Result<[u8; 32]> {
    let mut sum = Sha256::new();
    for path in files {
        // A pipe or device could keep the reader for ever.
        if !metadata(path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
        sum.update((bytes.len() as u64).to_le_bytes());
        sum.update(&bytes);
    }
    Ok(sum.finalize().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::backend::Schedule;
    use crate::config::Config;

    /// Others have their folders while a mount with keys hangs.
    #[tokio::test]
    async fn files_that_hang_take_one_thread() {
        let hands = Hands::new(&Schedule::of(&Config::default()));
        let watched = Watched::of(&Map::new(), &hands);
        let (answers, hang) = std::sync::mpsc::channel::<()>();
        let hangs = move || {
            let _gone = hang.recv();
            None
        };
        assert_eq!(watched.look_by(hangs).await, None);
        for _ in 0..100 {
            assert_eq!(watched.clone().look_by(|| Some([1; 32])).await, None, "a second look, while the first still waits");
        }
        hands.folders.run(|| Ok(())).await.expect("a thread that is free");
        drop(answers);
        while watched.look_by(|| Some([1; 32])).await.is_none() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_written_into_a_file_is_seen_and_what_cannot_be_read_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands::new(&Schedule::of(&Config::default()));
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["key", "header", "ca"] {
            std::fs::write(path(name), "one").unwrap();
        }
        let members = json!({
            "url": "x", "key": {"file": path("key")}, "headers": {"a": {"file": path("header")}, "b": "c"}, "ca_file": path("ca"), "other": {"env": "FILE"},
        });
        for name in ["key", "header", "ca"] {
            let watched = Watched::of(members.as_object().unwrap(), &hands);
            assert!(!watched.has_changed().await, "{name}");
            std::fs::remove_file(path(name)).unwrap();
            assert!(!watched.has_changed().await, "{name}");
            std::fs::write(path(name), "two").unwrap();
            assert!(watched.has_changed().await, "{name}");
            std::fs::write(path(name), "one").unwrap();
            assert!(!watched.has_changed().await, "{name}");
        }
        assert!(!Watched::of(json!({"key": "text"}).as_object().unwrap(), &hands).has_changed().await);
    }
}
