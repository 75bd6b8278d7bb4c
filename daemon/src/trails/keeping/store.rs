//! [`Store`]: the files of the trails, in the folder `trails` of the data directory.
//!
//! One file a trail, `NAME.trail`, replaced as a whole: written under another name, synced, renamed, the directory synced. After a crash there
//! is the old one or the new one. The bytes are described in `FORMAT.md`. What a sink refused for good is appended to `NAME.dead`, one
//! JSON object a line, and synced before the position moves on. A file whose checksum is wrong is set aside as `NAME.damaged`, and said so. What the trail
//! had delivered is not known then, nor whether it held the retention: until an operator removes the trail or makes it again, the log drops nothing on its account.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use trail_engine::error::{Error, ErrorKind, Result};
use trail_engine::storage::{File, Storage};

use crate::trails::keeping::holds::Holds;
use crate::trails::keeping::kept::{Kept, VERSION};

/// The name of the file with the identity of the log.
const IDENTITY: &str = "identity";
const SUFFIX: &str = ".trail";
const DEAD_SUFFIX: &str = ".dead";
const DAMAGED_SUFFIX: &str = ".damaged";
const PART_SUFFIX: &str = ".part";
/// The largest file of a trail, in bytes: eight sinks with keys, and a state each.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The files of the trails.
#[derive(Clone)]
pub struct Store {
    storage: Arc<dyn Storage>,
    holds: Arc<Holds>,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The trails by name.
    pub trails: Vec<(String, Kept)>,
    /// The trails whose files are damaged: what is wrong, where the file is now, and what to do.
    pub damaged: BTreeMap<String, String>,
}

impl Store {
    /// The trails in a directory. Which of them hold the retention is told to nobody.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Store {
        Store::holding(storage, Arc::new(Holds::new(Box::new(|_| {}))))
    }

    /// The trails in a directory; notes how far those that hold the retention have everything.
    #[must_use]
    pub fn holding(storage: Arc<dyn Storage>, holds: Arc<Holds>) -> Store {
        Store { storage, holds }
    }

    /// Reads all trails; sets aside what cannot be read.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub fn load(&self) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let mut names = self.storage.list().map_err(|e| Error::io("cannot list the trails", e))?;
        names.sort_unstable();
        for file in names {
            if file.ends_with(PART_SUFFIX) {
                self.storage.remove(&file).map_err(|e| Error::io("cannot remove an unfinished file", e).in_file(file))?;
                continue;
            }
            if let Some(name) = file.strip_suffix(DAMAGED_SUFFIX) {
                let error = self.read(&file).err().map_or_else(|| "it was set aside".to_owned(), |error| error.to_string());
                loaded.damaged.insert(name.to_owned(), damage(&file, &error));
            }
            let Some(name) = file.strip_suffix(SUFFIX) else { continue };
            match self.read(&file) {
                Ok(kept) => loaded.trails.push((name.to_owned(), kept)),
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let aside = self.set_aside(name)?;
                    loaded.damaged.insert(name.to_owned(), damage(&aside, &error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        // A trail that was made again stands for what was damaged of it.
        loaded.damaged.retain(|name, _| loaded.trails.iter().all(|(known, _)| known != name));
        self.holds.begin(loaded.trails.iter().map(|(name, kept)| (name.as_str(), kept)), loaded.damaged.keys());
        Ok(loaded)
    }

    fn set_aside(&self, name: &str) -> Result<String> {
        let (file, aside) = (format!("{name}{SUFFIX}"), format!("{name}{DAMAGED_SUFFIX}"));
        let moved = self.storage.rename(&file, &aside).and_then(|()| self.storage.sync_directory());
        moved.map_err(|e| Error::io("cannot set a damaged trail aside", e).in_file(file))?;
        Ok(aside)
    }

    /// Keeps a new trail, which also stands for what was damaged of one of that name; when this returns it is durable.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn found(&self, name: &str, kept: &Kept) -> Result<()> {
        self.save(name, kept)?;
        self.clear_away(name)
    }

    /// Removes what was set aside of a damaged trail: nothing waits for it any more.
    ///
    /// # Errors
    /// When it could not be removed.
    pub fn remove_damaged(&self, name: &str) -> Result<()> {
        self.clear_away(name)?;
        self.holds.forget(name);
        Ok(())
    }

    fn clear_away(&self, name: &str) -> Result<()> {
        let aside = format!("{name}{DAMAGED_SUFFIX}");
        let clear = || match self.storage.list()?.contains(&aside) {
            true => self.storage.remove(&aside).and_then(|()| self.storage.sync_directory()),
            false => Ok(()),
        };
        clear().map_err(|e| Error::io("cannot remove a damaged trail", e).in_file(aside.clone()))
    }

    /// The identity of the log, made at the first start: 32 hex digits that no other log has. Places keep it, so that two logs
    /// do not take each other's objects for their own.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn identity(&self) -> Result<String> {
        let known = self.storage.list().map_err(|e| Error::io("cannot list the trails", e))?.iter().any(|name| name == IDENTITY);
        if known {
            let bytes = self.bytes(IDENTITY).map_err(|e| Error::io("cannot read the identity of the log", e).in_file(IDENTITY))?;
            let text = String::from_utf8(bytes).unwrap_or_default();
            let id = text.trim_end();
            if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Ok(id.to_owned());
            }
            return Err(Error::corrupt("the identity of the log is damaged: remove it, and a new one is made").in_file(IDENTITY));
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|_| Error::new(ErrorKind::Io, "the system gives no randomness"))?;
        let id = random.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let write = || {
            let part = format!("{IDENTITY}{PART_SUFFIX}");
            let file = self.storage.create(&part)?;
            file.write_at(format!("{id}\n").as_bytes(), 0)?;
            file.sync()?;
            self.storage.rename(&part, IDENTITY)?;
            self.storage.sync_directory()
        };
        write().map_err(|e| Error::io("cannot keep the identity of the log", e).in_file(IDENTITY))?;
        Ok(id)
    }

    fn read(&self, name: &str) -> Result<Kept> {
        let corrupt = |what: &'static str| Error::corrupt(what).in_file(name);
        let json = self.read_whole(name)?;
        let kept: Kept = serde_json::from_slice(&json).map_err(|e| corrupt("a trail cannot be read").because(e))?;
        if kept.version > VERSION {
            let newer = Error::new(ErrorKind::Unsupported, "a trail was written by a newer version");
            return Err(newer.in_file(name).expected(VERSION, kept.version));
        }
        Ok(kept)
    }

    /// The JSON of a file with a checksum; `None` when there is none of that name.
    ///
    /// # Errors
    /// `Corrupt` when its checksum differs; when it cannot be read.
    pub fn read_sealed(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let names = self.storage.list().map_err(|e| Error::io("cannot list the trails", e))?;
        if names.iter().any(|name| name == file) { self.read_whole(file).map(Some) } else { Ok(None) }
    }

    fn read_whole(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = self.bytes(name).map_err(|e| Error::io("cannot read a file of the trails", e).in_file(name))?;
        let corrupt = |what: &'static str| Error::corrupt(what).in_file(name);
        let length = bytes.len().checked_sub(65).ok_or_else(|| corrupt("a file of the trails is too short"))?;
        let sum = bytes.split_off(length);
        if sum == check_line(&bytes).as_bytes() { Ok(bytes) } else { Err(corrupt("the checksum of a file of the trails differs")) }
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.storage.open(name)?;
        let length = file.length()?;
        if length > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has {length} bytes, more than {FILE_BYTES_MAX}")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Keeps a trail; when this returns it is durable.
    ///
    /// # Errors
    /// When it could not be written; the old one is then still there.
    pub fn save(&self, name: &str, kept: &Kept) -> Result<()> {
        let json = serde_json::to_vec(kept).map_err(|e| Error::invalid("a trail cannot be written as JSON").because(e))?;
        self.write_sealed(&format!("{name}{SUFFIX}"), &json)?;
        self.holds.note(name, kept);
        Ok(())
    }

    /// Keeps JSON with a checksum in a file; when this returns it is durable.
    ///
    /// # Errors
    /// When it could not be written; the old one is then still there.
    pub fn write_sealed(&self, file: &str, json: &[u8]) -> Result<()> {
        let mut bytes = [json, b"\n"].concat();
        let sum = check_line(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        let write = || {
            let part = format!("{file}{PART_SUFFIX}");
            let new = self.storage.create(&part)?;
            new.write_at(&bytes, 0)?;
            new.sync()?;
            self.storage.rename(&part, file)?;
            self.storage.sync_directory()
        };
        write().map_err(|e| Error::io("cannot keep a file of the trails", e).in_file(file))
    }

    /// Keeps JSON with a secret in it as [`Store::write_sealed`] does, and then overwrites what the file held before, where it lay.
    ///
    /// # Errors
    /// When it could not be written; the old one is then still there. What cannot be overwritten is said in the log alone: the new one is durable.
    pub fn replace_secret(&self, file: &str, json: &[u8]) -> Result<()> {
        let names = self.storage.list().map_err(|e| Error::io("cannot list the trails", e))?;
        let old = names.iter().any(|name| name == file).then(|| self.storage.open(file)).transpose();
        let old = old.map_err(|e| Error::io("cannot open a file of the trails", e).in_file(file))?;
        self.write_sealed(file, json)?;
        let wipe = |old: Arc<dyn File>| {
            let length = old.length()?.min(FILE_BYTES_MAX);
            old.write_at(&vec![0; usize::try_from(length).unwrap_or(0)], 0)?;
            old.sync()
        };
        if let Some(Err(error)) = old.map(wipe) {
            tracing::warn!(file, "a secret that was replaced may still lie on the disk: it cannot be overwritten: {error}");
        }
        Ok(())
    }

    /// Removes a trail. Its dead letters stay.
    ///
    /// # Errors
    /// When it could not be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let file = format!("{name}{SUFFIX}");
        let removed = self.storage.remove(&file).and_then(|()| self.storage.sync_directory());
        removed.map_err(|e| Error::io("cannot remove a trail", e).in_file(file))?;
        self.holds.forget(name);
        Ok(())
    }

    /// Appends dead letters; when this returns they are durable.
    ///
    /// # Errors
    /// When they could not be written.
    pub fn bury(&self, name: &str, letters: &[DeadLetter<'_>]) -> Result<()> {
        let file = format!("{name}{DEAD_SUFFIX}");
        let mut lines = Vec::new();
        for letter in letters {
            letter.write(&mut lines);
        }
        let write = || {
            let is_new = !self.storage.list()?.contains(&file);
            let dead = if is_new { self.storage.create(&file)? } else { self.storage.open(&file)? };
            dead.write_at(&lines, dead.length()?)?;
            dead.sync()?;
            if is_new { self.storage.sync_directory() } else { Ok(()) }
        };
        write().map_err(|e| Error::io("cannot write dead letters", e).in_file(file))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.storage).finish()
    }
}

/// What is said of a damaged trail.
fn damage(file: &str, error: &str) -> String {
    format!(
        "trails/{file} in the data directory is damaged, so it is not known what the trail has delivered, and days over the retention wait for it: \
         remove the trail, or make it again: {error}"
    )
}

/// The last line of a file: the SHA-256 of what is before it.
fn check_line(json: &[u8]) -> String {
    Sha256::digest(json).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")) + "\n"
}

/// An event that a sink refused for good.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// Its sequence.
    pub sequence: u64,
    /// The kind of the sink, and its place in the trail.
    pub sink: (&'a str, usize),
    /// Why.
    pub reason: &'a str,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The event.
    pub text: &'a [u8],
}

impl DeadLetter<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let about: Value = json!({
            "sequence": self.sequence, "sink": self.sink.0, "sink_index": self.sink.1, "at_ms": self.at_ms, "reason": self.reason,
        });
        let about = about.to_string();
        out.extend_from_slice(about.strip_suffix('}').unwrap_or(&about).as_bytes());
        out.extend_from_slice(b",\"event\":");
        // A line break between members is white space to JSON, and would end the line here.
        out.extend(self.text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use trail_engine::id::Sequence;
    use trail_engine::storage::FileStorage;

    use super::*;
    use crate::trails::keeping::kept::{Pending, State};

    fn store(directory: &Path) -> Store {
        Store::new(Arc::new(FileStorage::open(directory).unwrap()))
    }

    fn kept() -> Kept {
        let mut kept = Kept::fresh(json!({"name": "all", "sinks": []}), 2, 1_000);
        kept.state = State::Enabled;
        kept.sinks[1].pending = Some(Pending { number: 7, first: 3, last: 9, filter: "a.b:c".into() });
        kept.sinks[1].sink = Some(json!({"chain": "abc"}));
        kept
    }

    #[test]
    fn what_is_kept_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let trails = store(directory.path());
        trails.save("all", &kept()).unwrap();
        trails.save("b-2", &kept()).unwrap();
        trails.remove("b-2").unwrap();
        fs::write(directory.path().join("c.part"), b"half").unwrap();
        drop(trails);
        let loaded = store(directory.path()).load().unwrap();
        assert_eq!(loaded.trails, [("all".to_owned(), kept())]);
        assert!(loaded.damaged.is_empty() && !directory.path().join("c.part").exists());
    }

    #[test]
    fn a_wrong_byte_anywhere_is_found_and_the_file_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path()).save("all", &kept()).unwrap();
        let path = directory.path().join("all.trail");
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).chain([usize::MAX]) {
            let mut bad = good.clone();
            match bad.get_mut(at) {
                Some(byte) => *byte ^= 0x20,
                None => bad.truncate(good.len() / 2),
            }
            fs::write(&path, &bad).unwrap();
            let loaded = store(directory.path()).load().unwrap();
            assert!(loaded.trails.is_empty() && loaded.damaged["all"].contains("trails/all.damaged"), "{at}: {:?}", loaded.damaged);
            assert_eq!(fs::read(directory.path().join("all.damaged")).unwrap(), bad);
        }
    }

    #[test]
    fn a_damaged_trail_holds_everything_until_it_is_made_again_or_removed() {
        let directory = tempfile::tempdir().unwrap();
        let holding = || {
            let holds = Arc::new(Holds::new(Box::new(|_| {})));
            let trails = Store::holding(Arc::new(FileStorage::open(directory.path()).unwrap()), holds.clone());
            (trails.load().unwrap(), trails, holds)
        };
        let damage = || {
            store(directory.path()).save("all", &kept()).unwrap();
            fs::write(directory.path().join("all.trail"), b"no trail").unwrap();
        };
        damage();
        for start in 0..3 {
            let (loaded, _, holds) = holding();
            assert_eq!(holds.all().get("all"), Some(&Sequence::ZERO), "start {start}: {loaded:?}");
            assert!(loaded.damaged["all"].contains("trails/all.damaged"), "start {start}: {loaded:?}");
        }
        let (_, trails, holds) = holding();
        trails.found("all", &kept()).unwrap();
        drop(trails);
        assert!(holds.all().is_empty() && holding().0.damaged.is_empty());
        damage();
        let (_, trails, holds) = holding();
        trails.remove_damaged("all").unwrap();
        drop(trails);
        assert!(holds.all().is_empty());
        let (loaded, _, holds) = holding();
        assert!(loaded.damaged.is_empty() && loaded.trails.is_empty() && holds.all().is_empty());
    }

    #[test]
    fn a_log_keeps_its_identity() {
        let directory = tempfile::tempdir().unwrap();
        let id = store(directory.path()).identity().unwrap();
        assert_eq!(store(directory.path()).identity().unwrap(), id);
        assert_ne!(store(tempfile::tempdir().unwrap().path()).identity().unwrap(), id);
        fs::write(directory.path().join("identity"), "short\n").unwrap();
        assert_eq!(store(directory.path()).identity().unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn dead_letters_are_lines_of_json() {
        let directory = tempfile::tempdir().unwrap();
        let trails = store(directory.path());
        for (sequence, text) in [(1, "{\"a\":\n1}"), (2, "{}")] {
            let letter = DeadLetter { sequence, sink: ("sls", 0), reason: "value is \"too\" long", at_ms: 5, text: text.as_bytes() };
            trails.bury("all", &[letter]).unwrap();
        }
        let lines = fs::read_to_string(directory.path().join("all.dead")).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["event"], &lines[1]["sequence"]), (2, &json!({"a": 1}), &json!(2)));
        assert_eq!(lines[0]["reason"], "value is \"too\" long");
    }
}
