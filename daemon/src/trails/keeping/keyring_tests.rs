//! Keys that follow each other, and a disk that stops at every step of it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::sha2::{Digest as _, Sha256};
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use serde_json::Value;
use trail_engine::storage::{File, FileStorage, Storage, View};

use super::*;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
const START: i64 = 1_795_000_000;

fn ring(directory: &Path) -> Keyring {
    Keyring::new(Store::new(Arc::new(FileStorage::open(directory).unwrap())))
}

fn verifies(key: &PublicKey, text: &[u8], signature: &[u8]) -> bool {
    let public = RsaPublicKey::from_pkcs1_der(&key.der).unwrap();
    public.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text), signature).is_ok()
}

/// The pairs of the file: when another took their place, and their private half.
fn kept(directory: &Path) -> Vec<(Option<i64>, Option<String>)> {
    let text = std::fs::read_to_string(directory.join(FILE)).unwrap();
    let kept: Vec<Value> = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    kept.iter().map(|key| (key["retired_at"].as_i64(), key["private_key"].as_str().map(str::to_owned))).collect()
}

/// A pair as another process reads it.
fn copy(key: &SigningKey) -> SigningKey {
    key.kept().unwrap().signing().unwrap()
}

#[test]
fn a_key_is_kept_signs_for_a_year_and_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let first = ring(directory.path()).signing(START).unwrap();
    let again = ring(directory.path());
    assert_eq!(again.signing(START + YEAR).unwrap().public, first.public);
    let second = again.signing(START + YEAR + 1).unwrap();
    assert_ne!(second.public.fingerprint, first.public.fingerprint);
    drop(again);
    let keys = ring(directory.path());
    let old = first.public.retired(START + YEAR + 1);
    assert_eq!(keys.public(START, START + 2 * YEAR).unwrap(), [old.clone(), second.public.clone()]);
    assert_eq!(keys.public(START - 9 * DAY, START).unwrap(), [old]);
    assert!(keys.public(START - 9 * DAY, START - 5 * DAY).unwrap().is_empty());
    let signature = first.sign(b"signed").unwrap();
    assert!(verifies(&first.public, b"signed", &signature));
    assert!(!verifies(&first.public, b"forged", &signature) && !verifies(&second.public, b"signed", &signature));
    assert!(!format!("{first:?}{keys:?}").contains("private"));
    drop(keys);
    // Another key for the old digests is never made in silence.
    let path = directory.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = ring(directory.path());
    assert_eq!(damaged.signing(START).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(damaged.replace(copy(&first)).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_key_that_was_replaced_is_told_and_signs_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let keys = ring(directory.path());
    let first = keys.signing(START).unwrap();
    let [(None, Some(private))] = &kept(directory.path())[..] else { panic!("not one pair") };
    let told = keys.rotate(START + 100).unwrap();
    let second = keys.signing(START + 100).unwrap();
    assert_eq!(told, [first.public.retired(START + 100), second.public.clone()]);
    assert_eq!((told[0].valid_from(), told[0].valid_until()), (START - DAY, START + 100 + DAY));
    assert_eq!((told[1].valid_from(), told[1].valid_until()), (START + 100 - DAY, START + 100 + YEAR + DAY));
    // Who asks about a day long after gets the new one alone, who asks about all of the time both.
    assert_eq!(keys.public(START + 3 * DAY, START + 4 * DAY).unwrap(), std::slice::from_ref(&second.public));
    assert_eq!(keys.public(i64::MIN, i64::MAX).unwrap(), told);
    drop(keys);
    let [(Some(_), None), (None, Some(_))] = &kept(directory.path())[..] else { panic!("{:?}", kept(directory.path())) };
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(private.as_str()), "the old private half is there");
    }
    let keys = ring(directory.path());
    assert_eq!(keys.public(i64::MIN, i64::MAX).unwrap(), told);
    assert_eq!(keys.signing(START + 200).unwrap().public, second.public);
}

#[test]
fn a_key_that_is_asked_for_has_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let keys = ring(directory.path());
    let first = keys.signing(START).unwrap();
    keys.lock().as_mut().unwrap().retired = vec![first.public.retired(START); KEYS_MAX];
    assert_eq!(keys.replace(copy(&first)).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(keys.signing(START).unwrap().public, first.public);
}

/// A disk that notes what changes it, and does not do one of these calls, or any from it on.
#[derive(Debug)]
struct Steps {
    storage: FileStorage,
    noted: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
    fails_at: usize,
    ends: bool,
}

#[derive(Debug)]
struct Step {
    name: String,
    file: Arc<dyn File>,
    disk: Arc<Steps>,
}

impl Steps {
    fn on(directory: &Path, fails_at: usize, ends: bool) -> Arc<Steps> {
        let storage = FileStorage::open(directory).unwrap();
        Arc::new(Steps { storage, noted: Arc::default(), count: Arc::default(), fails_at, ends })
    }

    fn step(&self, what: String) -> io::Result<()> {
        let at = self.count.fetch_add(1, Ordering::SeqCst);
        if at == self.fails_at || (self.ends && at > self.fails_at) {
            return Err(io::Error::other(format!("{what} is not done")));
        }
        self.noted.lock().unwrap().push(what);
        Ok(())
    }
}

/// The handle that a store has.
#[derive(Debug)]
struct Disk(Arc<Steps>);

impl Disk {
    fn file(&self, name: &str, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(Step { name: name.to_owned(), file, disk: self.0.clone() })
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.storage.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.step(format!("create {name}"))?;
        Ok(self.file(name, self.0.storage.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(name, self.0.storage.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.step(format!("rename {from}"))?;
        self.0.storage.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.storage.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.step("sync the names".to_owned())?;
        self.0.storage.sync_directory()
    }
}

impl File for Step {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let what = if bytes.iter().all(|byte| *byte == 0) { "wipe" } else { "write" };
        self.disk.step(format!("{what} {}", self.name))?;
        self.file.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step(format!("sync {}", self.name))?;
        self.file.sync()
    }

    fn view(&self) -> io::Result<View> {
        self.file.view()
    }
}

/// In this order a power cut between any two leaves one of them whole: nothing is renamed before it is durable, nor wiped before the name is.
const ORDER: [&str; 7] = [
    "create digest.keys.part",
    "write digest.keys.part",
    "sync digest.keys.part",
    "rename digest.keys.part",
    "sync the names",
    "wipe digest.keys",
    "sync digest.keys",
];

#[test]
fn whatever_stops_a_rotation_one_key_signs_and_all_are_told() {
    let [first, second] = [SigningKey::make(START).unwrap(), SigningKey::make(START + 10).unwrap()];
    let names = |keys: &[PublicKey]| keys.iter().map(|key| key.fingerprint.clone()).collect::<Vec<_>>();
    let (old, new) = (first.public.fingerprint.clone(), second.public.fingerprint.clone());
    // The process ends at a step (or, behind the last, at none), or the step alone fails and the server goes on.
    for (fails_at, ends) in (0..=ORDER.len()).flat_map(|at| [(at, true), (at, false)]) {
        let directory = tempfile::tempdir().unwrap();
        ring(directory.path()).replace(copy(&first)).unwrap();
        let steps = Steps::on(directory.path(), fails_at, ends);
        let keys = Keyring::new(Store::new(Arc::new(Disk(steps.clone()))));
        let rotated = keys.replace(copy(&second));
        // What is wiped is not what is kept: the new one is durable by then.
        let is_new = fails_at >= 5;
        assert_eq!(rotated.is_ok(), is_new, "{fails_at}: {rotated:?}");
        assert_eq!(*steps.noted.lock().unwrap(), ORDER[..fails_at], "{fails_at}");
        let place = format!("step {fails_at}, ends: {ends}");
        let mut signed = None;
        if !ends {
            let signing = keys.signing(START + 20).unwrap();
            assert_eq!(signing.public.fingerprint, if is_new { &*new } else { &*old }, "{place}");
            signed = Some((signing.public.clone(), signing.sign(b"a digest").unwrap()));
        }
        drop((keys, steps));

        let store = Store::new(Arc::new(FileStorage::open(directory.path()).unwrap()));
        store.load().unwrap();
        let keys = Keyring::new(store);
        let told = names(&keys.public(START, START + 20).unwrap());
        // Of a process that ended between the new name and its being durable, either may be there.
        assert!(told == [old.clone()] || told == [old.clone(), new.clone()], "{place}: {told:?}");
        assert_eq!(keys.signing(START + 20).unwrap().public.fingerprint, *told.last().unwrap(), "{place}");
        assert_eq!(told.len(), if is_new || (ends && fails_at == 4) { 2 } else { 1 }, "{place}: {told:?}");
        assert_eq!(kept(directory.path()).iter().filter(|(_, private)| private.is_some()).count(), 1, "{place}");
        if let Some((key, signature)) = signed {
            assert!(told.contains(&key.fingerprint) && verifies(&key, b"a digest", &signature), "{place}");
        }
        assert_eq!(keys.replace(copy(&second)).unwrap().last().unwrap().fingerprint, new, "{place}");
    }
}
