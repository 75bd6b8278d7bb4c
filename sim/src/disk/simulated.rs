//! [`Disk`] itself: the storage that processes see.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fault::{Failure, Fault, Kind};
use super::image::{Fill, Image};
use super::medium::Medium;
use super::operation::{Inode, Lost, Operation};
use crate::storage::{File, Storage, View};

/// What counts as quiet, twice in a row.
const QUIET: Duration = Duration::from_micros(1_500);

#[derive(Debug)]
struct State {
    live: Image,
    medium: Medium,
    trace: Vec<Operation>,
    recording: bool,
    life: u64,
    calls: BTreeMap<Kind, u64>,
    changes: u64,
    fault: Option<Fault>,
    tripped: u64,
    bytes_max: Option<u64>,
    held: bool,
    slow: Duration,
}

#[derive(Debug)]
struct Core {
    state: Mutex<State>,
    changed: Condvar,
}

/// A flat directory in memory. Clones are the same directory.
#[derive(Debug, Clone)]
pub struct Disk {
    core: Arc<Core>,
    life: u64,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk::holding(Image::default())
    }
}

impl Disk {
    /// A directory with these files, all of them durable.
    pub fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Disk {
        Disk::holding(Image::of(files))
    }

    /// A directory that is this image, all of it durable.
    #[must_use]
    pub fn holding(image: Image) -> Disk {
        let state = State {
            medium: Medium::of(image.clone(), Fill::Zeros),
            live: image,
            trace: Vec::new(),
            recording: false,
            life: 0,
            calls: BTreeMap::new(),
            changes: 0,
            fault: None,
            tripped: 0,
            bytes_max: None,
            held: false,
            slow: Duration::ZERO,
        };
        Disk { core: Arc::new(Core { state: Mutex::new(state), changed: Condvar::new() }), life: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.core.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory as a process sees it now: what one that is killed leaves behind.
    #[must_use]
    pub fn image(&self) -> Image {
        self.state().live.clone()
    }

    /// The same, file by file.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.image().files()
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().live.names.keys().cloned().collect()
    }

    /// The content of a file.
    #[must_use]
    pub fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.named(name).map(|inode| state.live.content(inode).to_vec()).unwrap_or_default()
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.mend(|files| drop(files.insert(name.to_owned(), bytes.to_vec())));
    }

    /// Takes a file away, durably.
    pub fn delete(&self, name: &str) {
        self.mend(|files| drop(files.remove(name)));
    }

    /// Changes the files behind everybody's back, after making all there is durable.
    fn mend(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        let mut state = self.state();
        let mut files = state.live.files();
        change(&mut files);
        state.live = Image::of(files);
        state.medium = Medium::of(state.live.clone(), Fill::Zeros);
    }

    /// What is durable and what is pending.
    #[must_use]
    pub fn medium(&self) -> Medium {
        self.state().medium.clone()
    }

    /// How many changes were tried.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().changes
    }

    /// How many calls of a kind there were.
    #[must_use]
    pub fn calls(&self, kinds: &[Kind]) -> u64 {
        let state = self.state();
        kinds.iter().filter_map(|kind| state.calls.get(kind)).sum()
    }

    /// Waits until nothing was changed for a while: then whoever works in the background is done.
    pub fn wait_until_quiet(&self) {
        let mut quiet = 0;
        while quiet < 2 {
            let before = self.operations();
            std::thread::sleep(QUIET);
            quiet = if self.operations() == before { quiet + 1 } else { 0 };
        }
    }

    /// Sets a fault, in place of the one before; calls are counted from now on.
    pub fn arm(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = Some(fault);
        state.tripped = 0;
    }

    /// Takes the fault back; whether it had not happened.
    pub fn disarm(&self) -> bool {
        let mut state = self.state();
        state.fault.take();
        state.tripped == 0
    }

    /// How many calls have failed since a fault was set.
    #[must_use]
    pub fn tripped(&self) -> u64 {
        self.state().tripped
    }

    /// The most bytes that all files may have together.
    pub fn limit(&self, bytes_max: Option<u64>) {
        self.state().bytes_max = bytes_max;
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state().bytes()
    }

    /// Makes syncs wait, or lets them go on.
    pub fn hold_syncs(&self, held: bool) {
        self.state().held = held;
        self.core.changed.notify_all();
    }

    /// Makes every change take this long.
    pub fn slow_down(&self, by: Duration) {
        self.state().slow = by;
    }

    /// Records operations from now on.
    pub fn record(&self) {
        let mut state = self.state();
        state.recording = true;
        state.trace.clear();
    }

    /// What was recorded.
    #[must_use]
    pub fn trace(&self) -> Vec<Operation> {
        self.state().trace.clone()
    }

    /// How many operations were recorded.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.state().trace.len()
    }

    /// The process dies: whatever it still does fails and leaves no trace. Returns the disk for the next one.
    #[must_use]
    pub fn next_life(&self) -> Disk {
        let mut state = self.state();
        state.life += 1;
        Disk { core: self.core.clone(), life: state.life }
    }

    /// Lets a call begin: dead processes and faults end here.
    fn call(&self, kind: Kind) -> Result<MutexGuard<'_, State>, (MutexGuard<'_, State>, Failure)> {
        let slow = if is_change(kind) { self.state().slow } else { Duration::ZERO };
        if !slow.is_zero() {
            std::thread::sleep(slow);
        }
        let mut state = self.state();
        if self.life != state.life {
            return Err((state, Failure::EIO));
        }
        *state.calls.entry(kind).or_insert(0) += 1;
        state.changes += u64::from(is_change(kind));
        match state.fails(kind) {
            Some(failure) => Err((state, failure)),
            None => Ok(state),
        }
    }

    /// The same where a failure leaves nothing behind.
    fn plain_call(&self, kind: Kind) -> io::Result<MutexGuard<'_, State>> {
        self.call(kind).map_err(|(_, failure)| failure.error())
    }

    fn handle(&self, inode: Inode) -> Arc<dyn File> {
        Arc::new(Handle { disk: self.clone(), inode })
    }
}

fn is_change(kind: Kind) -> bool {
    super::fault::CHANGES.contains(&kind)
}

impl State {
    fn bytes(&self) -> u64 {
        self.live.named().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Counts the fault down; how the call fails, if it does.
    fn fails(&mut self, kind: Kind) -> Option<Failure> {
        let fault = self.fault.as_mut().filter(|fault| fault.kinds.contains(&kind))?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        if !fault.sticky && self.tripped > 0 {
            return None;
        }
        self.tripped += 1;
        Some(fault.failure)
    }

    fn room_for(&self, inode: Inode, end: usize) -> io::Result<()> {
        let more = end.saturating_sub(self.live.content(inode).len()) as u64;
        match self.bytes_max {
            Some(most) if more > 0 && self.bytes() + more > most => Err(Failure::ENOSPC.error()),
            _ => Ok(()),
        }
    }

    fn change(&mut self, operation: Operation) {
        self.live.apply(&operation, Fill::Zeros);
        self.medium.note(&operation);
        if self.recording {
            self.trace.push(operation);
        }
    }

    fn named(&self, name: &str) -> io::Result<Inode> {
        self.live.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Which of the changes arrive whose sync fails.
    fn luck(&self) -> u64 {
        self.changes.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.plain_call(Kind::List)?.live.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.plain_call(Kind::Create)?;
        let inode = match state.named(name) {
            Ok(inode) => {
                state.change(Operation::Shorten { inode, length: 0 });
                inode
            }
            Err(_) => {
                let inode = state.live.next_inode();
                state.change(Operation::Create { name: name.to_owned(), inode });
                inode
            }
        };
        Ok(self.handle(inode))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = self.plain_call(Kind::Open)?.named(name)?;
        Ok(self.handle(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.plain_call(Kind::Rename)?;
        let inode = state.named(from)?;
        state.change(Operation::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.plain_call(Kind::Remove)?;
        let inode = state.named(name)?;
        state.change(Operation::Remove { name: name.to_owned(), inode });
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        match self.call(Kind::SyncDirectory) {
            Ok(mut state) => {
                state.change(Operation::SyncDirectory);
                Ok(())
            }
            Err((state, failure)) if self.life != state.life => Err(failure.error()),
            Err((mut state, failure)) => {
                let seed = state.luck();
                // What readers see of names does not go back: a directory is no page of a file.
                let lost = if failure.lost == Lost::Kept { Lost::Kept } else { Lost::Clean };
                state.change(Operation::FailedSyncDirectory { lost, seed });
                Err(failure.error())
            }
        }
    }
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    inode: Inode,
}

/// The bytes of a file as they were when they were mapped.
struct Held(Arc<Vec<u8>>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl File for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.plain_call(Kind::Length)?.live.content(self.inode).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (state, failure) = match self.disk.call(Kind::Read) {
            Ok(state) => (state, None),
            Err((state, failure)) => (state, Some(failure)),
        };
        let length = if failure.is_some_and(|f| f.half) { buffer.len() / 2 } else { buffer.len() };
        if failure.is_none_or(|f| f.half) {
            let content = state.live.content(self.inode);
            let from = content.get(offset as usize..).and_then(|rest| rest.get(..length)).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer[..length].copy_from_slice(from);
        }
        match failure {
            Some(Failure { half: true, .. }) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(failure) => Err(failure.error()),
            None => Ok(()),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = offset as usize;
        let write = |state: &mut State, bytes: &[u8]| state.change(Operation::Write { inode: self.inode, at, bytes: bytes.into() });
        match self.disk.call(Kind::Write) {
            Ok(mut state) => {
                state.room_for(self.inode, at + bytes.len())?;
                write(&mut state, bytes);
                Ok(())
            }
            Err((mut state, failure)) => {
                if failure.half && self.disk.life == state.life {
                    write(&mut state, &bytes[..bytes.len() / 2]);
                }
                Err(failure.error())
            }
        }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.plain_call(Kind::Allocate)?;
        state.room_for(self.inode, length as usize)?;
        state.change(Operation::Grow { inode: self.inode, length: length as usize });
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.plain_call(Kind::Truncate)?;
        state.change(Operation::Shorten { inode: self.inode, length: length as usize });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.disk.core.changed.wait_while(self.disk.state(), |state| state.held).unwrap_or_else(PoisonError::into_inner));
        match self.disk.call(Kind::Sync) {
            Ok(mut state) => {
                state.change(Operation::Sync { inode: self.inode });
                Ok(())
            }
            Err((state, failure)) if self.disk.life != state.life => Err(failure.error()),
            Err((mut state, failure)) => {
                let (inode, seed) = (self.inode, state.luck());
                state.change(Operation::FailedSync { inode, lost: failure.lost, seed });
                if failure.lost == Lost::Reverted {
                    let durable = state.medium.durable_content(inode);
                    state.live.set_content(inode, durable);
                }
                Err(failure.error())
            }
        }
    }

    fn view(&self) -> io::Result<View> {
        Ok(View::new(Held(self.disk.plain_call(Kind::View)?.live.shared(self.inode))))
    }
}
