//! [`State`]: everything that a simulated disk is at a moment, under its lock; how a call fails, and how a change is made.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::fault::{Failure, Fault, Kind};
use super::image::{Fill, Image};
use super::medium::Medium;
use super::operation::{Inode, Operation};

/// A disk at a moment.
#[derive(Debug)]
pub(super) struct State {
    pub(super) live: Image,
    pub(super) medium: Medium,
    pub(super) trace: Vec<Operation>,
    pub(super) recording: bool,
    pub(super) life: u64,
    pub(super) calls: BTreeMap<Kind, u64>,
    pub(super) changes: u64,
    pub(super) fault: Option<Fault>,
    pub(super) tripped: u64,
    /// The names of files whose sync has failed, once for each time.
    pub(super) failed_syncs: Vec<String>,
    pub(super) bytes_max: Option<u64>,
    pub(super) held: bool,
    /// How many syncs wait because they are held.
    pub(super) syncs_waiting: u64,
    /// Who has which file mapped.
    views: Vec<(Inode, Weak<()>)>,
    /// How many changes were made to files that somebody had mapped.
    pub(super) changed_under_views: u64,
    pub(super) slow: Duration,
    /// Changes by the rank of the thread that made them, where threads take turns.
    pub(super) turns: Option<[u64; 3]>,
}

impl State {
    /// A directory that is this image, all of it durable.
    pub(super) fn of(image: Image) -> State {
        State {
            medium: Medium::of(image.clone(), Fill::Zeros),
            live: image,
            trace: Vec::new(),
            recording: false,
            life: 0,
            calls: BTreeMap::new(),
            changes: 0,
            fault: None,
            tripped: 0,
            failed_syncs: Vec::new(),
            bytes_max: None,
            held: false,
            syncs_waiting: 0,
            views: Vec::new(),
            changed_under_views: 0,
            slow: Duration::ZERO,
            turns: None,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.live.named().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Counts the fault down; how the call fails, if it does.
    pub(super) fn fails(&mut self, kind: Kind) -> Option<Failure> {
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

    pub(super) fn room_for(&self, inode: Inode, end: usize) -> io::Result<()> {
        let more = end.saturating_sub(self.live.content(inode).len()) as u64;
        match self.bytes_max {
            Some(most) if more > 0 && self.bytes() + more > most => Err(Failure::ENOSPC.error()),
            _ => Ok(()),
        }
    }

    /// Somebody maps a file, for as long as what is given is held.
    pub(super) fn viewed(&mut self, inode: Inode) -> Arc<()> {
        let guard = Arc::new(());
        self.views.retain(|(_, guard)| guard.strong_count() > 0);
        self.views.push((inode, Arc::downgrade(&guard)));
        guard
    }

    pub(super) fn change(&mut self, operation: Operation) {
        let is_viewed = |inode| self.views.iter().any(|(of, guard)| *of == inode && guard.strong_count() > 0);
        // A real map would show the change, or end the process where the file is shorter than the map.
        self.changed_under_views += u64::from(operation.content_of().is_some_and(is_viewed));
        self.live.apply(&operation, Fill::Zeros);
        self.medium.note(&operation);
        if self.recording {
            self.trace.push(operation);
        }
    }

    /// Notes that a file could not be synced, by the name that it has now.
    pub(super) fn could_not_sync(&mut self, inode: Inode) {
        let name = self.live.names.iter().find(|(_, of)| **of == inode).map(|(name, _)| name.clone());
        self.failed_syncs.extend(name);
    }

    pub(super) fn named(&self, name: &str) -> io::Result<Inode> {
        self.live.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Which of the changes arrive whose sync fails.
    pub(super) fn luck(&self) -> u64 {
        self.changes.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
