//! The traits [`Storage`] and [`File`].

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Weak};

/// A flat directory of files. After a crash only what was synced is sure to be there: file contents by [`File::sync`],
/// and names (created, renamed, removed) by [`Storage::sync_directory`].
pub trait Storage: Send + Sync + fmt::Debug {
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, or empties the one of that name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading and writing; for reading alone when the directory is read-only.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Renames a file, replacing the one of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes created, renamed and removed names durable.
    fn sync_directory(&self) -> io::Result<()>;

    /// Whether finished files may be read by [`File::view`]: of a map, a place that the medium cannot read is no error but the end of the
    /// process. Where this says no, they are read by [`File::read_at`] alone.
    fn may_map(&self) -> bool {
        true
    }
}

/// An open file.
pub trait File: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads exactly the buffer's length at an offset.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes at an offset; the file grows as needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reserves space up to a length and grows the file to it with zeros; never shortens it.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Shortens the file.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes everything written so far durable, the length included. After an error nothing written since the last success may
    /// be trusted: the call must not be repeated in the hope of another answer.
    fn sync(&self) -> io::Result<()>;

    /// The whole content as it is now. Only for files that are never written again.
    fn view(&self) -> io::Result<View>;
}

/// The unchanging bytes of a finished file: mapped, or held in memory.
#[derive(Clone)]
pub struct View(Arc<dyn Bytes>);

/// What owns the bytes of a view.
pub(super) trait Bytes: Send + Sync {
    fn bytes(&self) -> &[u8];

    /// Lets go of memory that can be had again.
    fn release(&self) {}
}

/// Bytes in memory, which stay there.
struct Held<T>(T);

impl<T: AsRef<[u8]> + Send + Sync> Bytes for Held<T> {
    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl View {
    /// A view of anything that owns bytes.
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> View {
        View(Arc::new(Held(owner)))
    }

    pub(super) fn of(owner: impl Bytes + 'static) -> View {
        View(Arc::new(owner))
    }

    /// The same bytes, for as long as somebody else holds them.
    pub(crate) fn downgrade(&self) -> WeakView {
        WeakView(Arc::downgrade(&self.0))
    }

    /// Says that what was read will hardly be read again soon: of a mapped file, the process no longer counts its pages as its own. They
    /// can be read as before; the system may still have them.
    pub fn release(&self) {
        self.0.release();
    }
}

/// The bytes of a file, if anybody still holds them.
pub(crate) struct WeakView(Weak<dyn Bytes>);

impl WeakView {
    /// The bytes; `None` when nobody holds them any more.
    pub(crate) fn upgrade(&self) -> Option<View> {
        self.0.upgrade().map(View)
    }
}

impl fmt::Debug for WeakView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakView")
    }
}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({} bytes)", self.len())
    }
}
