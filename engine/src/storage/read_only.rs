//! [`ReadOnlyBytes`]: bytes in memory as a file that can only be read.
//!
//! For a directory in which some files are not on disk: what a repaired catalog would be, a file that a test or a fuzz target makes up. Every change
//! is refused. Limit: the bytes stay in memory for as long as the file, or a view of it, is held.

use std::io;

use super::seam::{File, View};

/// A file of given bytes, for reading alone. Clones and views share the bytes.
#[derive(Debug, Clone)]
pub struct ReadOnlyBytes(View);

impl ReadOnlyBytes {
    /// The file with these bytes.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> ReadOnlyBytes {
        ReadOnlyBytes(View::new(bytes))
    }
}

fn refused() -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}

impl File for ReadOnlyBytes {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = usize::try_from(offset).ok().and_then(|from| self.0.get(from..)).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        refused()
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }

    fn view(&self) -> io::Result<View> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_within_its_length_and_never_changed() {
        let file = ReadOnlyBytes::new(b"abcdef".to_vec());
        let mut two = [0; 2];
        file.read_at(&mut two, 4).unwrap();
        assert_eq!((&two, file.length().unwrap(), &*file.view().unwrap()), (b"ef", 6, b"abcdef".as_slice()));
        for outside in [5, 6, 7, u64::MAX] {
            assert_eq!(file.read_at(&mut two, outside).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{outside}");
        }
        for changed in [file.write_at(b"x", 0), file.allocate(9), file.truncate(0), file.sync()] {
            assert_eq!(changed.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(&*file.view().unwrap(), b"abcdef");
    }
}
