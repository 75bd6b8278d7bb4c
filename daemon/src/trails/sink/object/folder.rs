//! [`Folder`]: objects as files of a local directory.
//!
//! A file is written under a temporary name beside its place, synced, renamed and its directory synced, so that a reader sees whole files
//! only and a delivered one survives a loss of power. Names that begin with a dot are no objects.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::backend::Hands;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::store::{Object, ObjectStore};
use crate::trails::sink::seam::Work;

/// A local directory, made when the first object is put.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
    place: Arc<str>,
    hands: Hands,
    /// One call at a time: of a folder that hangs no more than one thread is taken, and no call overtakes an earlier one.
    turn: Arc<Semaphore>,
}

impl Folder {
    /// The directory at a path.
    #[must_use]
    pub fn new(root: PathBuf, hands: &Hands) -> Folder {
        Folder { place: root.display().to_string().into(), root: root.into(), hands: hands.clone(), turn: Arc::new(Semaphore::new(1)) }
    }

    fn run<T: Send + 'static>(&self, doing: &'static str, work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static) -> Work<'_, T> {
        let root = self.root.clone();
        Box::pin(async move {
            let turn = self.turn.clone().acquire_owned().await;
            let turn = turn.map_err(|e| Fault::later(format!("cannot {doing} under {}: {e}", self.place)))?;
            let work = move || {
                let _turn = turn;
                Ok(work(&root))
            };
            let done = self.hands.folders.run(work).await;
            let done = done.map_err(|e| Fault::later(format!("cannot {doing} under {}: {e}", self.place)))?;
            done.map_err(|e| fault(&e, doing, &self.place))
        })
    }
}

fn fault(error: &io::Error, doing: &str, place: &str) -> Fault {
    let message = format!("cannot {doing} under {place}: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory | io::ErrorKind::ReadOnlyFilesystem => Fault::setup(message),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::setup(format!("{message}; free some space there")),
        _ => Fault::later(message),
    }
}

/// Makes a directory and those above it, and makes their names durable.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    match fs::create_dir(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    sync_directory(directory.parent().unwrap_or(directory))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    fs::File::open(directory)?.sync_all()
}

/// Writes a file. Its bytes are durable then; its name is when its directory was synced.
fn write(root: &Path, key: &str, bytes: &[u8], syncs_name: bool) -> io::Result<()> {
    let path = root.join(key);
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    make_directory(directory)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".part");
    let temporary = directory.join(temporary);
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    if syncs_name { sync_directory(directory) } else { Ok(()) }
}

fn list(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let mut keys = Vec::new();
    let mut waiting = vec![folder.trim_end_matches('/').to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type()? {
                _ if name.starts_with('.') => {}
                kind if kind.is_dir() => waiting.push(key),
                kind if kind.is_file() => keys.push(key),
                _ => {}
            }
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

impl ObjectStore for Folder {
    fn place(&self) -> &str {
        &self.place
    }

    fn put<'a>(&'a self, object: &'a Object) -> Work<'a, ()> {
        let (key, bytes) = (object.key.clone(), object.bytes.clone());
        self.run("write a file", move |root| write(root, &key, &bytes, true))
    }

    fn put_before<'a>(&'a self, object: &'a Object) -> Work<'a, ()> {
        let (key, bytes) = (object.key.clone(), object.bytes.clone());
        self.run("write a file", move |root| write(root, &key, &bytes, false))
    }

    fn get<'a>(&'a self, key: &'a str) -> Work<'a, Option<Bytes>> {
        let key = key.to_owned();
        self.run("read a file", move |root| Ok(absent(fs::read(root.join(key)))?.map(Bytes::from)))
    }

    fn list<'a>(&'a self, folder: &'a str, after: &'a str) -> Work<'a, Vec<String>> {
        let (folder, after) = (folder.to_owned(), after.to_owned());
        self.run("list files", move |root| {
            let mut keys = list(root, &folder)?;
            keys.retain(|key| *key > after);
            Ok(keys)
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> Work<'a, ()> {
        let key = key.to_owned();
        self.run("remove a file", move |root| absent(fs::remove_file(root.join(key))).map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Schedule;
    use crate::config::Config;
    use crate::trails::sink::fault::FaultKind;

    fn hands() -> Hands {
        Hands::new(&Schedule::of(&Config::default()))
    }

    fn object(key: &str, bytes: &'static [u8]) -> Object {
        Object { key: key.into(), bytes: Bytes::from_static(bytes), content_type: "text/plain", metadata: Vec::new() }
    }

    #[tokio::test]
    async fn what_is_put_is_there_once() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path().join("made/when/needed"), &hands());
        assert_eq!(folder.list("", "").await.unwrap(), Vec::<String>::new());
        folder.put(&object("b/day=1/2", b"two")).await.unwrap();
        folder.put(&object("b/day=1/1", b"one")).await.unwrap();
        folder.put(&object("b/day=1/1", b"again")).await.unwrap();
        folder.put(&object("c", b"")).await.unwrap();
        assert_eq!(folder.list("", "").await.unwrap(), ["b/day=1/1", "b/day=1/2", "c"]);
        assert_eq!(folder.list("b/", "").await.unwrap(), ["b/day=1/1", "b/day=1/2"]);
        assert_eq!(folder.list("b/", "b/day=1/1").await.unwrap(), ["b/day=1/2"]);
        assert_eq!(folder.list("b/", "b/day=2").await.unwrap(), Vec::<String>::new());
        assert_eq!(folder.get("b/day=1/1").await.unwrap().unwrap(), "again");
        assert_eq!(folder.get("b/day=1/3").await.unwrap(), None);
        folder.remove("c").await.unwrap();
        folder.remove("c").await.unwrap();
        assert_eq!(folder.get("c").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_to_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fault = Folder::new(file.path().join("x"), &hands()).put(&object("k", b"v")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Setup);
        assert!(fault.message.contains("cannot write a file under") && fault.message.contains("Not a directory"), "{fault}");
    }
}
