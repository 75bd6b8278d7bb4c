//! Which journal files there are, and what their headers say.

use crate::error::{Error, ErrorKind, Result};
use crate::id::Sequence;
use crate::journal::file_header::{FILE_HEADER_BYTES, FileHeader};
use crate::journal::name::{JournalName, Role};
use crate::journal::window::Window;
use crate::storage::Storage;

/// The journal files of a directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Live files by id.
    pub(super) live: Vec<LiveFile>,
    /// The ids of spare files.
    pub(super) spares: Vec<u64>,
    /// Higher than every id that a name carries.
    pub(super) next_id: u64,
}

/// A live file before its frames are read.
#[derive(Debug)]
pub(super) struct LiveFile {
    pub(super) id: u64,
    /// Everything below was durable when the file was made; `None` when nothing in the file says so.
    pub(super) first_sequence: Option<Sequence>,
    /// The length that was reserved when it was made; 0 when its header does not say.
    pub(super) reserved: u64,
    /// What is wrong with the header.
    pub(super) header_damage: Option<Error>,
}

impl LiveFile {
    pub(super) fn name(&self) -> String {
        JournalName::live(self.id).to_string()
    }

    pub(super) fn open(&self, storage: &dyn Storage) -> Result<Window> {
        let name = self.name();
        let file = storage.open(&name).map_err(|e| Error::io("cannot open the journal", e).in_file(&name))?;
        Window::open(file, name)
    }
}

/// Lists the files, and reads the headers of the live ones.
///
/// # Errors
/// What the operating system says; [`ErrorKind::Unsupported`] when a file is of another version.
pub(super) fn list(storage: &dyn Storage) -> Result<Listing> {
    let names = storage.list().map_err(|e| Error::io("cannot list the journal files", e))?;
    let mut listing = Listing { next_id: 1, ..Listing::default() };
    for name in names.iter().filter_map(|name| JournalName::parse(name)) {
        listing.next_id = listing.next_id.max(name.id.saturating_add(1));
        match name.role {
            Role::Live => listing.live.push(LiveFile { id: name.id, first_sequence: None, reserved: 0, header_damage: None }),
            Role::Spare => listing.spares.push(name.id),
            Role::Quarantined => {}
        }
    }
    listing.live.sort_by_key(|file| file.id);
    listing.spares.sort_unstable();
    for file in &mut listing.live {
        read_header(storage, file)?;
    }
    Ok(listing)
}

fn read_header(storage: &dyn Storage, file: &mut LiveFile) -> Result<()> {
    let mut window = file.open(storage)?;
    match FileHeader::decode(window.bytes(0, FILE_HEADER_BYTES)?, file.id) {
        Ok(header) => (file.first_sequence, file.reserved) = (Some(header.first_sequence), header.reserved),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let id = file.id;
            let first = window.find_header(FILE_HEADER_BYTES as u64, |_, header| header.journal_id == id)?;
            file.first_sequence = first.map(|(_, header)| header.durable_before);
            file.header_damage = Some(error.in_component("file header").in_file(file.name()));
        }
        Err(error) => return Err(error.in_file(file.name())),
    }
    Ok(())
}
