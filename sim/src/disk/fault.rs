//! [`Fault`]: which calls fail, and how.

use std::io;

use super::operation::Lost;

/// A call of the storage's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Listing names.
    List,
    /// Creating a file.
    Create,
    /// Opening a file.
    Open,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing the directory.
    SyncDirectory,
    /// Asking for a length.
    Length,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Reserving space.
    Allocate,
    /// Shortening a file.
    Truncate,
    /// Syncing a file.
    Sync,
    /// Mapping a file.
    View,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 13] = [
        Kind::List,
        Kind::Create,
        Kind::Open,
        Kind::Rename,
        Kind::Remove,
        Kind::SyncDirectory,
        Kind::Length,
        Kind::Read,
        Kind::Write,
        Kind::Allocate,
        Kind::Truncate,
        Kind::Sync,
        Kind::View,
    ];
}

/// The calls that change something.
pub const CHANGES: &[Kind] =
    &[Kind::Create, Kind::Rename, Kind::Remove, Kind::SyncDirectory, Kind::Write, Kind::Allocate, Kind::Truncate, Kind::Sync];

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The number that the operating system gives.
    pub errno: i32,
    /// Whether the first half of a read or write is done before it fails.
    pub half: bool,
    /// What becomes of changes whose sync fails.
    pub lost: Lost,
}

impl Failure {
    /// The medium failed.
    pub const EIO: Failure = Failure { errno: 5, half: false, lost: Lost::Clean };
    /// A signal came between.
    pub const EINTR: Failure = Failure { errno: 4, half: false, lost: Lost::Kept };
    /// The medium failed half-way.
    pub const HALF: Failure = Failure { errno: 5, half: true, lost: Lost::Clean };
    /// The disk is full.
    pub const ENOSPC: Failure = Failure { errno: 28, half: true, lost: Lost::Kept };
    /// The owner's share of the disk is used up.
    pub const EDQUOT: Failure = Failure { errno: 122, half: true, lost: Lost::Kept };

    pub(super) fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Of these kinds...
    pub kinds: &'static [Kind],
    /// ... the one after so many others ...
    pub after: u64,
    /// ... and, if so, all that follow, until the fault is taken back.
    pub sticky: bool,
    /// In this way.
    pub failure: Failure,
}

impl Fault {
    /// A fault that happens once.
    #[must_use]
    pub fn once(kinds: &'static [Kind], after: u64, failure: Failure) -> Fault {
        Fault { kinds, after, sticky: false, failure }
    }

    /// A fault that stays until it is taken back.
    #[must_use]
    pub fn sticky(kinds: &'static [Kind], after: u64, failure: Failure) -> Fault {
        Fault { kinds, after, sticky: true, failure }
    }
}
