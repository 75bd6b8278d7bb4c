//! [`JournalFiles`]: making, recycling and dropping journal files.
//!
//! A new file is made ready under the name of a spare: its space is reserved, its header and an end of frames are written and
//! synced. Only then it gets its live name, and the directory is synced. So a crash leaves either no new file or a whole one.
//!
//! A file whose events are all in segments becomes a spare: writing to its pages again is several times cheaper than writing to
//! new ones. A spare's new name is made durable before its bytes are touched.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{Sequence, Timestamp};
use crate::journal::file_header::{FILE_HEADER_BYTES, FileHeader};
use crate::journal::frame::FRAME_HEADER_BYTES;
use crate::journal::name::JournalName;
use crate::journal::outcome::{KeptFile, Replay};
use crate::mutants;
use crate::storage::{File, Storage};

/// Where space is short, files get shorter down to this.
const SMALLEST_BYTES: u64 = 64 << 10;

/// How large files are and how many wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalSettings {
    /// The length to which a file is preallocated, less where space is short. It grows past it only for a group of frames that is larger by itself.
    pub(crate) journal_bytes: u64,
    /// How many files that are not needed any more are kept for reuse.
    pub(crate) spare_max: usize,
}

/// A live file that was made a moment ago.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) file: Arc<dyn File>,
    /// The length to which it is preallocated.
    pub(super) length: u64,
}

/// The files of a journal but for the one that is written.
#[derive(Debug)]
pub(super) struct JournalFiles {
    storage: Arc<dyn Storage>,
    settings: JournalSettings,
    next_id: u64,
    finished: Vec<KeptFile>,
    spares: Vec<u64>,
    in_doubt: bool,
}

impl JournalFiles {
    /// Takes over the files that a replay has found.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn open(storage: Arc<dyn Storage>, settings: JournalSettings, replay: &Replay) -> Result<JournalFiles> {
        let mut files = JournalFiles {
            storage,
            settings,
            next_id: replay.next_id,
            finished: replay.files.clone(),
            spares: replay.spares.clone(),
            in_doubt: false,
        };
        // The last process may have died before it made these names durable.
        files.sync_directory()?;
        files.drop_spares(settings.spare_max)?;
        files.release(replay.from, u64::MAX)?;
        Ok(files)
    }

    /// The bytes of all finished and spare files.
    pub(super) fn bytes(&self) -> u64 {
        let spares = self.settings.journal_bytes.saturating_mul(self.spares.len() as u64);
        self.finished.iter().map(|file| file.bytes).sum::<u64>().saturating_add(spares)
    }

    /// Whether a name may or may not have become durable. Then nothing may be written any more: a new file that is there after a
    /// crash would cut off what went on in the old one.
    pub(super) fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// The newest of the files that are not written any more; 0 where there is none.
    pub(super) fn newest(&self) -> u64 {
        self.finished.iter().map(|file| file.id).max().unwrap_or(0)
    }

    /// Adds a file that is not written any more.
    pub(super) fn finish(&mut self, file: KeptFile) {
        self.finished.push(file);
    }

    /// Makes the next live file, whose first event is `first_sequence`; everything below must be durable.
    ///
    /// # Errors
    /// What the operating system says. The files are as before, unless [`JournalFiles::in_doubt`].
    pub(super) fn create(&mut self, first_sequence: Sequence, now: Timestamp) -> Result<NewFile> {
        let id = self.next_id;
        self.next_id += 1;
        let recycled = self.spares.pop();
        let made = JournalName::spare(recycled.unwrap_or(id)).to_string();
        let live = JournalName::live(id).to_string();
        let header = FileHeader { id, first_sequence, created_at: now, reserved: 0 };
        let ready = self.make_ready(&made, recycled.is_some(), header);
        let renamed = ready.and_then(|ready| self.storage.rename(&made, &live).map(|()| ready).map_err(|e| self.rename_failed(e)));
        let (file, length) = match renamed {
            Ok(ready) => ready,
            Err(error) => {
                // Best effort: what stays behind is a spare that the next start drops or uses.
                let _left = self.storage.remove(&made);
                return Err(error.in_file(live));
            }
        };
        let named = if mutants::is("journal_directory_sync_left_out") { Ok(()) } else { self.sync_directory() };
        if let Err(error) = named {
            self.in_doubt = !mutants::is("name_in_doubt_believed");
            return Err(error.in_file(live));
        }
        Ok(NewFile { id, name: live, file, length })
    }

    /// A directory without space has refused cleanly; after any other error the name may be either.
    fn rename_failed(&mut self, error: std::io::Error) -> Error {
        let error = Error::io("cannot name a journal file", error);
        self.in_doubt |= error.kind() != ErrorKind::Full;
        error
    }

    /// Writes a file that has everything but its live name; returns it with its length. Once it has that name, nothing may fail any more: what
    /// would go on in the file before would be cut off by the new one.
    fn make_ready(&self, name: &str, recycled: bool, mut header: FileHeader) -> Result<(Arc<dyn File>, u64)> {
        let failed = |error| {
            let what = if Error::is_full(&error) { "the disk is full: no space for a journal file" } else { "cannot make a journal file" };
            Error::io(what, error)
        };
        let file = if recycled { self.storage.open(name) } else { self.storage.create(name) }.map_err(failed)?;
        let length = self.settings.journal_bytes.max((FILE_HEADER_BYTES + FRAME_HEADER_BYTES) as u64);
        if file.length().map_err(failed)? > length {
            file.truncate(length).map_err(failed)?;
        }
        reserve(&*file, length).map_err(failed)?;
        header.reserved = file.length().map_err(failed)?;
        let mut bytes = header.encode();
        // No frame yet: the end of frames hides what a recycled file still holds.
        bytes.resize(FILE_HEADER_BYTES + FRAME_HEADER_BYTES, 0);
        file.write_at(&bytes, 0).map_err(failed)?;
        let length = file.length().map_err(failed)?;
        if !mutants::is("new_journal_sync_left_out") {
            file.sync().map_err(failed)?;
        }
        Ok((file, length))
    }

    /// Lets go of the finished files whose events are all below a sequence, and which come before the file `before`: the first become
    /// spares, damaged ones are set aside under another name, the others are removed.
    ///
    /// # Errors
    /// What the operating system says. Files that are still there are tried again next time.
    pub(super) fn release(&mut self, below: Sequence, before: u64) -> Result<()> {
        let mut new_spares = Vec::new();
        let mut changed = false;
        let is_needless = |file: &KeptFile| file.end_sequence <= below || mutants::is("journal_released_unflushed");
        while let Some(at) = self.finished.iter().position(|file| file.id < before && is_needless(file)) {
            let room = self.spares.len() + new_spares.len() < self.settings.spare_max;
            if let Some(file) = self.finished.get(at) {
                self.retire(file, room)?;
                if room && !file.damaged {
                    new_spares.push(file.id);
                }
            }
            self.finished.remove(at);
            changed = true;
        }
        if changed && !mutants::is("spare_directory_sync_left_out") {
            self.sync_directory()?;
        }
        self.spares.extend(new_spares);
        Ok(())
    }

    fn retire(&self, file: &KeptFile, to_spare: bool) -> Result<()> {
        let live = JournalName::live(file.id).to_string();
        let result = if file.damaged {
            self.storage.rename(&live, &JournalName::quarantined(file.id).to_string())
        } else if to_spare {
            self.storage.rename(&live, &JournalName::spare(file.id).to_string())
        } else {
            self.storage.remove(&live)
        };
        result.map_err(|e| Error::io("cannot release a journal file", e).in_file(live))
    }

    /// Removes spare files until this many are left.
    pub(super) fn drop_spares(&mut self, keep: usize) -> Result<()> {
        while self.spares.len() > keep {
            if let Some(id) = self.spares.pop() {
                let name = JournalName::spare(id).to_string();
                self.storage.remove(&name).map_err(|e| Error::io("cannot remove a spare journal file", e).in_file(name))?;
            }
        }
        Ok(())
    }

    fn sync_directory(&self) -> Result<()> {
        self.storage.sync_directory().map_err(|e| Error::io("cannot sync the directory of the journal", e))
    }
}

/// Reserves space, less of it where there is not so much.
fn reserve(file: &dyn File, length: u64) -> std::io::Result<()> {
    let before = file.length()?;
    let mut length = length;
    loop {
        match file.allocate(length) {
            Err(error) if Error::is_full(&error) && length > SMALLEST_BYTES => {
                // What was reserved of it is given back.
                file.truncate(before)?;
                length = (length / 8).max(SMALLEST_BYTES);
            }
            reserved => return reserved,
        }
    }
}
