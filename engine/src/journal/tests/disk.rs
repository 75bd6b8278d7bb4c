//! [`Disk`]: a directory in memory with a write cache, a countdown to failure, and a plug to pull.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::{File, Storage, View};

/// What is written in one piece even when the power goes.
const SECTOR: usize = 512;

#[derive(Debug, Default, Clone)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Unsynced writes, sector by sector.
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Operations until the failure, and which it is.
    failure: Option<(u64, io::ErrorKind)>,
    operations: u64,
}

/// The directory; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct Handle {
    disk: Disk,
    inode: usize,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts a changing operation; it fails when the countdown is over.
    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        match &mut state.failure {
            Some((0, kind)) => {
                let kind = *kind;
                state.failure = None;
                Err(kind.into())
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(state)
            }
            None => Ok(state),
        }
    }

    /// Lets the changing operation after `left` others fail, once.
    pub(super) fn fail_after(&self, left: u64, kind: io::ErrorKind) {
        self.state().failure = Some((left, kind));
    }

    /// Takes an armed failure back; whether it had not happened yet.
    pub(super) fn disarm(&self) -> bool {
        self.state().failure.take().is_some()
    }

    /// How many changing operations there were.
    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].cached.clone()
    }

    /// Puts a file there, durably.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode { cached: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() });
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    pub(super) fn delete(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// The directory after a power cut: what was synced, and of the rest what `keep` lets through, sector by sector.
    pub(super) fn power_cut(&self, mut keep: impl FnMut() -> bool) -> Disk {
        let mut state = self.state();
        let names = if keep() { state.names.clone() } else { state.durable_names.clone() };
        let mut inodes = std::mem::take(&mut state.inodes);
        for inode in &mut inodes {
            for (at, sector) in std::mem::take(&mut inode.pending) {
                if keep() {
                    write(&mut inode.durable, at, &sector);
                }
            }
            inode.cached = inode.durable.clone();
        }
        Disk(Arc::new(Mutex::new(State { inodes, durable_names: names.clone(), names, failure: None, operations: 0 })))
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.step()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(name.to_owned(), inode);
        Ok(Arc::new(Handle { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = *self.state().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.step()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.step()?;
        state.names.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.step()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl File for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].cached.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.state();
        let content = &state.inodes[self.inode].cached;
        let from = offset as usize;
        buffer.copy_from_slice(content.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// A failing write still leaves its first half, as real ones do.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let step = self.disk.step().map(drop);
        let bytes = if step.is_err() { &bytes[..bytes.len() / 2] } else { bytes };
        let mut state = self.disk.state();
        let inode = &mut state.inodes[self.inode];
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (sector, later) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
            write(&mut inode.cached, at, sector);
            inode.pending.push((at, sector.to_vec()));
            at += sector.len();
            rest = later;
        }
        step
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.step()?;
        let inode = &mut state.inodes[self.inode];
        let length = inode.cached.len().max(length as usize);
        inode.cached.resize(length, 0);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.step()?;
        state.inodes[self.inode].cached.truncate(length as usize);
        Ok(())
    }

    /// After a failure the pages count as clean: a second sync would not write them.
    fn sync(&self) -> io::Result<()> {
        let step = self.disk.step().map(drop);
        let mut state = self.disk.state();
        let inode = &mut state.inodes[self.inode];
        if step.is_ok() {
            // Only what is pending gets there; what an earlier failed sync dropped stays lost.
            inode.durable.resize(inode.cached.len(), 0);
            for (at, sector) in std::mem::take(&mut inode.pending) {
                write(&mut inode.durable, at, &sector);
            }
            let length = inode.cached.len();
            inode.durable.truncate(length);
        } else {
            inode.pending.clear();
        }
        step
    }

    fn view(&self) -> io::Result<View> {
        Ok(View::new(self.disk.state().inodes[self.inode].cached.clone()))
    }
}
