//! [`Operation`]: one change of a directory, as it is recorded and played again.

use std::sync::Arc;

/// A file, whatever its name is. Numbers are given in the order of creation.
pub type Inode = usize;

/// What becomes of changes whose sync has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lost {
    /// They stay pending: another sync writes them.
    Kept,
    /// They count as written though only some of them were: another sync does nothing for them. Readers still see them.
    Clean,
    /// The same, and readers see what is on the medium.
    Reverted,
}

/// One change of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A new, empty file.
    Create {
        /// Its name.
        name: String,
        /// The file.
        inode: Inode,
    },
    /// A file gets another name, in place of the file that had it.
    Rename {
        /// Its name so far.
        from: String,
        /// Its name from now on.
        to: String,
        /// The file.
        inode: Inode,
    },
    /// A name goes.
    Remove {
        /// The name.
        name: String,
        /// The file that had it.
        inode: Inode,
    },
    /// All changes of names are durable.
    SyncDirectory,
    /// A sync of the directory that failed.
    FailedSyncDirectory {
        /// What becomes of the changes.
        lost: Lost,
        /// Which of them arrived, where that is left to luck.
        seed: u64,
    },
    /// Bytes are written.
    Write {
        /// The file.
        inode: Inode,
        /// Where.
        at: usize,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file grows to a length, if it is shorter.
    Grow {
        /// The file.
        inode: Inode,
        /// Its length.
        length: usize,
    },
    /// A file is cut to a length, if it is longer.
    Shorten {
        /// The file.
        inode: Inode,
        /// Its length.
        length: usize,
    },
    /// All changes of a file's content are durable.
    Sync {
        /// The file.
        inode: Inode,
    },
    /// A sync of a file that failed.
    FailedSync {
        /// The file.
        inode: Inode,
        /// What becomes of the changes.
        lost: Lost,
        /// Which of them arrived, where that is left to luck.
        seed: u64,
    },
}

impl Operation {
    /// The file whose content it changes.
    pub(super) fn content_of(&self) -> Option<Inode> {
        match self {
            Operation::Write { inode, .. } | Operation::Grow { inode, .. } | Operation::Shorten { inode, .. } => Some(*inode),
            _ => None,
        }
    }

    /// Whether it changes names.
    pub(super) fn is_of_names(&self) -> bool {
        matches!(self, Operation::Create { .. } | Operation::Rename { .. } | Operation::Remove { .. })
    }
}
