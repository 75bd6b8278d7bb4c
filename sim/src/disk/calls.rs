//! The calls that processes make of a simulated disk: [`Storage`] for the directory, [`File`] for what is in it.

use std::io;
use std::sync::Arc;

use super::fault::{Failure, Kind};
use super::operation::{Inode, Lost, Operation};
use super::simulated::Disk;
use super::state::State;
use crate::storage::{File, Storage, View};

impl Disk {
    fn handle(&self, inode: Inode) -> Arc<dyn File> {
        Arc::new(Handle { disk: self.clone(), inode })
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

/// An open file.
#[derive(Debug)]
struct Handle {
    disk: Disk,
    inode: Inode,
}

/// The bytes of a file as they were when they were mapped.
struct Held(Arc<Vec<u8>>, #[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

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
        self.disk.await_syncs();
        match self.disk.call(Kind::Sync) {
            Ok(mut state) => {
                state.change(Operation::Sync { inode: self.inode });
                Ok(())
            }
            Err((state, failure)) if self.disk.life != state.life => Err(failure.error()),
            Err((mut state, failure)) => {
                let (inode, seed) = (self.inode, state.luck());
                state.could_not_sync(inode);
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
        let mut state = self.disk.plain_call(Kind::View)?;
        let guard = state.viewed(self.inode);
        Ok(View::new(Held(state.live.shared(self.inode), guard)))
    }
}
