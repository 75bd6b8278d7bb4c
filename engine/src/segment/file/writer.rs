//! [`SegmentFileWriter`]: components one after the other into a file, each byte checksummed once.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::id::SegmentId;
use crate::segment::file::component::{COMPONENT_VERSION, Component, Entry, FLAG_REQUIRED};
use crate::segment::file::footer::{ENTRIES_MAX, HEADER_BYTES, header, padding, table_and_trailer};
use crate::storage::File;

/// How much is gathered before it is written: large enough that the cost of a call does not show.
const BUFFER_BYTES: usize = 1 << 20;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSummary {
    /// The length of the file in bytes.
    pub(crate) length: u64,
    /// The checksum of all of it.
    pub(crate) crc32: u32,
}

/// Writes a segment file from its first byte to its last. Does not sync it.
#[derive(Debug)]
pub(crate) struct SegmentFileWriter {
    file: Arc<dyn File>,
    name: String,
    buffer: Vec<u8>,
    /// What of the file has left the buffer.
    written: u64,
    /// The checksum of all that lies before the open component.
    whole: crc32fast::Hasher,
    /// The checksum of the open component, or of what lies between two.
    part: crc32fast::Hasher,
    open: Option<Entry>,
    entries: Vec<Entry>,
    /// Where a component is built that is written at once.
    scratch: Vec<u8>,
}

impl SegmentFileWriter {
    /// Begins a file, which must be empty, with its header.
    ///
    /// # Errors
    /// None yet: the header is only gathered.
    pub(crate) fn new(file: Arc<dyn File>, name: impl Into<String>, id: SegmentId) -> Result<SegmentFileWriter> {
        let mut writer = SegmentFileWriter {
            file,
            name: name.into(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            written: 0,
            whole: crc32fast::Hasher::new(),
            part: crc32fast::Hasher::new(),
            open: None,
            entries: Vec::new(),
            scratch: Vec::new(),
        };
        writer.put(&header(id))?;
        Ok(writer)
    }

    /// Writes a whole component, which `encode` appends to the buffer that it is given.
    ///
    /// # Errors
    /// As [`SegmentFileWriter::start`]; what `encode` gives.
    pub(crate) fn component(&mut self, component: Component, ordinal: u16, encode: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        encode(&mut bytes)?;
        self.start(component, ordinal)?;
        self.write(&bytes)?;
        self.scratch = bytes;
        self.end().map(|_| ())
    }

    /// Begins a component; `ordinal` is that of its dimension, or 0.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when another is open or it was written before; what the file gives.
    pub(crate) fn start(&mut self, component: Component, ordinal: u16) -> Result<()> {
        self.start_entry(component.code(), COMPONENT_VERSION, FLAG_REQUIRED, ordinal)
    }

    fn start_entry(&mut self, code: u16, version: u16, flags: u16, ordinal: u16) -> Result<()> {
        let taken = self.entries.iter().any(|entry| (entry.code, entry.ordinal) == (code, ordinal));
        if self.open.is_some() || taken || self.entries.len() >= ENTRIES_MAX {
            return Err(Error::invalid("a component was begun inside another, or twice, or is one too many").in_file(&self.name));
        }
        self.pad()?;
        self.take_part_checksum();
        self.open = Some(Entry { code, version, flags, ordinal, offset: self.position(), length: 0, crc32: 0 });
        Ok(())
    }

    /// Appends to the open component.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when none is open; what the file gives.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.open.is_none() {
            return Err(Error::invalid("no component was begun").in_file(&self.name));
        }
        self.put(bytes)
    }

    /// How much of the open component was written; 0 when none is open.
    #[cfg(test)]
    pub(crate) fn component_position(&self) -> u64 {
        self.open.map_or(0, |entry| self.position() - entry.offset)
    }

    /// Ends the open component; returns its length.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when none is open.
    pub(crate) fn end(&mut self) -> Result<u64> {
        let Some(mut entry) = self.open.take() else {
            return Err(Error::invalid("no component was begun").in_file(&self.name));
        };
        entry.length = self.position() - entry.offset;
        let checksum = self.take_part_checksum();
        if Component::from_code(entry.code).is_none_or(Component::has_checksum) {
            entry.crc32 = checksum;
        }
        self.entries.push(entry);
        Ok(entry.length)
    }

    /// Writes table and trailer, and all that is still gathered.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when a component is open; what the file gives.
    pub(crate) fn finish(mut self) -> Result<FileSummary> {
        if self.open.is_some() {
            return Err(Error::invalid("a component was not ended").in_file(&self.name));
        }
        self.pad()?;
        let end = table_and_trailer(&self.entries, self.position());
        self.put(&end)?;
        self.flush()?;
        self.take_part_checksum();
        Ok(FileSummary { length: self.written, crc32: self.whole.finalize() })
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn pad(&mut self) -> Result<()> {
        let zeros = [0; HEADER_BYTES];
        self.put(zeros.get(..padding(self.position())).unwrap_or_default())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.part.update(bytes);
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() < BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_through(bytes)
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(bytes, self.written)
            .map_err(|e| Error::io("cannot write the segment", e).in_file(&self.name).at(self.written))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = if buffer.is_empty() { Ok(()) } else { self.write_through(&buffer) };
        buffer.clear();
        self.buffer = buffer;
        result
    }

    /// Joins the checksum since the last call to that of the file; a checksum of two parts follows from those of the parts.
    fn take_part_checksum(&mut self) -> u32 {
        let part = std::mem::replace(&mut self.part, crc32fast::Hasher::new());
        self.whole.combine(&part);
        part.finalize()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;
    use crate::codec::checksum::crc32;
    use crate::error::ErrorKind;
    use crate::storage::View;

    /// A file in memory.
    #[derive(Debug, Default)]
    pub(crate) struct MemoryFile(pub(crate) Mutex<Vec<u8>>);

    impl File for MemoryFile {
        fn length(&self) -> io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            let held = self.0.lock().unwrap();
            let from = held.get(offset as usize..offset as usize + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(from);
            Ok(())
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let mut held = self.0.lock().unwrap();
            let end = offset as usize + bytes.len();
            let length = held.len().max(end);
            held.resize(length, 0);
            held[offset as usize..end].copy_from_slice(bytes);
            Ok(())
        }

        fn allocate(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn truncate(&self, length: u64) -> io::Result<()> {
            self.0.lock().unwrap().truncate(length as usize);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn view(&self) -> io::Result<View> {
            Ok(View::new(self.0.lock().unwrap().clone()))
        }
    }

    /// A file of these components: code, version, flags, ordinal, bytes.
    pub(crate) fn file_of(components: &[(u16, u16, u16, u16, Vec<u8>)]) -> (Vec<u8>, FileSummary) {
        let file = Arc::new(MemoryFile::default());
        let mut writer = SegmentFileWriter::new(file.clone(), "segment-7", SegmentId(7)).unwrap();
        for (code, version, flags, ordinal, bytes) in components {
            writer.start_entry(*code, *version, *flags, *ordinal).unwrap();
            bytes.chunks(700_001).for_each(|chunk| writer.write(chunk).unwrap());
            assert_eq!(writer.component_position(), bytes.len() as u64);
            assert_eq!(writer.end().unwrap(), bytes.len() as u64);
        }
        let summary = writer.finish().unwrap();
        let bytes = file.0.lock().unwrap().clone();
        (bytes, summary)
    }

    #[test]
    fn the_summary_is_that_of_the_file() {
        for len in [0, 1, 8, 1_000_000, 3_000_000] {
            let (bytes, summary) = file_of(&[(1, 1, 1, 0, vec![1; len]), (11, 1, 1, 3, vec![2; 5])]);
            assert_eq!(summary, FileSummary { length: bytes.len() as u64, crc32: crc32(&bytes) });
        }
    }

    #[test]
    fn calls_out_of_order_are_refused() {
        let mut writer = SegmentFileWriter::new(Arc::new(MemoryFile::default()), "s", SegmentId(1)).unwrap();
        assert!(writer.write(b"x").is_err());
        assert!(writer.end().is_err());
        writer.start(Component::Meta, 0).unwrap();
        assert!(writer.start(Component::Shapes, 0).is_err());
        writer.end().unwrap();
        assert_eq!(writer.start(Component::Meta, 0).unwrap_err().kind(), ErrorKind::Invalid);
        writer.start(Component::Shapes, 0).unwrap();
        assert!(writer.finish().is_err());
    }
}
