//! [`Disk`] itself: what a test does with it, and how a call of a process begins.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fault::{Failure, Fault, Kind};
use super::image::{Fill, Image};
use super::medium::Medium;
use super::operation::Operation;
use super::state::State;

#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// A flat directory in memory. Clones are the same directory.
#[derive(Debug, Clone)]
pub struct Disk {
    pub(super) core: Arc<Core>,
    pub(super) life: u64,
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
        Disk { core: Arc::new(Core { state: Mutex::new(State::of(image)), changed: Condvar::new() }), life: 0 }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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

    /// The files whose sync has failed, by the names that they had, once for each time.
    #[must_use]
    pub fn failed_syncs(&self) -> Vec<String> {
        self.state().failed_syncs.clone()
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

    /// How many syncs wait because they are held.
    #[must_use]
    pub fn syncs_waiting(&self) -> u64 {
        self.state().syncs_waiting
    }

    /// Waits while syncs are held.
    pub(super) fn await_syncs(&self) {
        let mut state = self.state();
        state.syncs_waiting += 1;
        let mut state = self.core.changed.wait_while(state, |state| state.held).unwrap_or_else(PoisonError::into_inner);
        state.syncs_waiting -= 1;
    }

    /// How many changes were made to files that somebody had mapped: a real map would show them, or end the process.
    #[must_use]
    pub fn changed_under_views(&self) -> u64 {
        self.state().changed_under_views
    }

    /// Makes every change take this long from now on.
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
    pub(super) fn call(&self, kind: Kind) -> Result<MutexGuard<'_, State>, (MutexGuard<'_, State>, Failure)> {
        if is_change(kind) {
            self.await_turn();
        }
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
    pub(super) fn plain_call(&self, kind: Kind) -> io::Result<MutexGuard<'_, State>> {
        self.call(kind).map_err(|(_, failure)| failure.error())
    }
}

fn is_change(kind: Kind) -> bool {
    super::fault::CHANGES.contains(&kind)
}
