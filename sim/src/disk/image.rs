//! [`Image`]: a directory as it stands, with names and contents.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::operation::{Inode, Operation};

/// What is found in a part of a file that was never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Zeros.
    Zeros,
    /// Bytes that nobody wrote, from a seed.
    Noise(u64),
    /// What other files held at the same place: blocks are used again.
    Stale,
}

/// Names and contents. Cloning is cheap: contents are shared until one is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Image {
    pub(super) names: BTreeMap<String, Inode>,
    contents: Vec<Arc<Vec<u8>>>,
}

impl Image {
    /// A directory with these files.
    pub fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Image {
        let mut image = Image::default();
        for (name, bytes) in files {
            image.put(name, bytes);
        }
        image
    }

    /// Adds or replaces a file.
    pub fn put(&mut self, name: String, bytes: Vec<u8>) {
        self.names.insert(name, self.contents.len());
        self.contents.push(Arc::new(bytes));
    }

    /// Takes a file away.
    pub fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// All files by name.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.named().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect()
    }

    /// The same without a copy.
    pub fn named(&self) -> impl Iterator<Item = (&String, &[u8])> {
        self.names.iter().map(|(name, inode)| (name, self.content(*inode)))
    }

    /// Forgets files without a name, which makes images that look alike equal.
    #[must_use]
    pub fn without_nameless(&self) -> Image {
        let contents = self.names.values().map(|inode| self.shared(*inode)).collect();
        Image { names: self.names.keys().cloned().zip(0..).collect(), contents }
    }

    pub(super) fn next_inode(&self) -> Inode {
        self.contents.len()
    }

    pub(super) fn content(&self, inode: Inode) -> &[u8] {
        self.contents.get(inode).map_or(&[], |content| content.as_slice())
    }

    pub(super) fn shared(&self, inode: Inode) -> Arc<Vec<u8>> {
        self.contents.get(inode).cloned().unwrap_or_default()
    }

    pub(super) fn set_content(&mut self, inode: Inode, content: Arc<Vec<u8>>) {
        *self.slot(inode) = content;
    }

    fn slot(&mut self, inode: Inode) -> &mut Arc<Vec<u8>> {
        if self.contents.len() <= inode {
            self.contents.resize(inode + 1, Arc::default());
        }
        &mut self.contents[inode]
    }

    /// Does what an operation says; syncs change nothing here.
    pub(super) fn apply(&mut self, operation: &Operation, fill: Fill) {
        match operation {
            Operation::Create { name, inode } => {
                self.slot(*inode);
                self.names.insert(name.clone(), *inode);
            }
            Operation::Rename { from: _, to, inode } => {
                // A file has one name, whichever of its earlier renames got to the medium.
                self.names.retain(|_, named| named != inode);
                self.names.insert(to.clone(), *inode);
            }
            Operation::Remove { name, inode } => {
                if self.names.get(name) == Some(inode) {
                    self.names.remove(name);
                }
            }
            Operation::Write { inode, at, bytes } => self.write(*inode, *at, bytes, fill),
            Operation::Grow { inode, length } => self.grow(*inode, *length, fill),
            Operation::Shorten { inode, length } => Arc::make_mut(self.slot(*inode)).truncate(*length),
            Operation::SyncDirectory | Operation::FailedSyncDirectory { .. } | Operation::Sync { .. } | Operation::FailedSync { .. } => {}
        }
    }

    pub(super) fn write(&mut self, inode: Inode, at: usize, bytes: &[u8], fill: Fill) {
        self.grow(inode, at, fill);
        let content = Arc::make_mut(self.slot(inode));
        let within = bytes.len().min(content.len() - at);
        content[at..at + within].copy_from_slice(&bytes[..within]);
        content.extend_from_slice(&bytes[within..]);
    }

    fn grow(&mut self, inode: Inode, length: usize, fill: Fill) {
        let from = self.content(inode).len();
        if from >= length {
            return;
        }
        let stale = if fill == Fill::Stale { self.other_content(inode, from) } else { Arc::default() };
        let content = Arc::make_mut(self.slot(inode));
        match fill {
            Fill::Zeros => content.resize(length, 0),
            Fill::Noise(seed) => content.extend((from..length).map(|at| noise(seed, at))),
            Fill::Stale => content.extend((from..length).map(|at| stale.get(at).copied().unwrap_or(0))),
        }
    }

    /// The content of the youngest other file that has anything at a place.
    fn other_content(&self, inode: Inode, at: usize) -> Arc<Vec<u8>> {
        let others = self.contents.iter().enumerate().rev().filter(|(other, _)| *other != inode);
        others.map(|(_, content)| content).find(|content| content.len() > at).cloned().unwrap_or_default()
    }
}

fn noise(seed: u64, at: usize) -> u8 {
    let mixed = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}
