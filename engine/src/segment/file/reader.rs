//! [`SegmentFile`]: the components of a finished segment file, each checked by its checksum when it is first used.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::codec::checksum::{check_crc32, compare_crc32};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SegmentId;
use crate::mutants;
use crate::segment::file::component::{Component, FLAG_REQUIRED};
use crate::segment::file::footer;
use crate::segment::file::source::Source;

/// One component of a file.
#[derive(Debug)]
pub(crate) struct Part {
    source: Source,
    range: Range<u64>,
    /// What was read by calls.
    held: OnceLock<Result<Vec<u8>>>,
    crc32: u32,
    verified: AtomicBool,
    component: Component,
    ordinal: u16,
    file: String,
}

impl Part {
    /// Its bytes. The first use compares the checksum, except for blocks, which have their own; damage is reported anew at
    /// every use. From a file that is read by calls it is read once and kept, so ask for blocks by [`Part::stretch`].
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] naming file, component and offset in the file; what reading says.
    pub(crate) fn bytes(&self) -> Result<&[u8]> {
        let bytes = self.unchecked()?;
        if self.component.has_checksum() && !self.verified.load(Ordering::Acquire) && !mutants::is("component_crc_unchecked") {
            check_crc32(bytes, self.crc32).map_err(|e| self.locate(e.at(self.range.start)))?;
            self.verified.store(true, Ordering::Release);
        }
        Ok(bytes)
    }

    /// Whether its bytes were compared with the checksum before.
    pub(crate) fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    /// Compares the checksum again, whether or not it was right before.
    ///
    /// # Errors
    /// As [`Part::bytes`].
    pub(crate) fn verify(&self) -> Result<()> {
        self.verified.store(false, Ordering::Release);
        match &self.source {
            Source::View(_) => self.bytes().map(|_| ()),
            Source::Calls(..) if !self.component.has_checksum() => Ok(()),
            Source::Calls(..) => {
                let found = self.source.checksum(self.range.clone()).map_err(|e| self.locate(e))?;
                compare_crc32(found, self.crc32).map_err(|e| self.locate(e.at(self.range.start)))
            }
        }
    }

    /// Its bytes without a look at the checksum: for readers whose pages have checksums of their own.
    fn unchecked(&self) -> Result<&[u8]> {
        match &self.source {
            Source::View(view) => Ok(view.get(self.range.start as usize..self.range.end as usize).unwrap_or_default()),
            Source::Calls(..) => {
                let read = || self.source.read(self.range.clone()).map(Cow::into_owned).map_err(|e| self.locate(e));
                self.held.get_or_init(read).as_deref().map_err(Error::duplicate)
            }
        }
    }

    /// Whether its bytes are at hand without a call.
    pub(crate) fn is_in_place(&self) -> bool {
        matches!(self.source, Source::View(_))
    }

    /// A stretch of its bytes, from its start, read by a call.
    ///
    /// # Errors
    /// What reading says, with the place in the file; [`ErrorKind::Corrupt`] when it ends before.
    pub(crate) fn stretch(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let place = self.range.start.checked_add(range.start).zip(self.range.start.checked_add(range.end));
        let place = place.filter(|(_, end)| *end <= self.range.end).map(|(start, end)| start..end);
        let place = place.ok_or_else(|| Error::corrupt("a block is out of its component"))?;
        self.source.read(place).map(Cow::into_owned)
    }

    /// The same component, with nothing of it read yet.
    fn again(&self) -> Part {
        Part {
            source: self.source.clone(),
            range: self.range.clone(),
            held: OnceLock::new(),
            crc32: self.crc32,
            verified: AtomicBool::new(false),
            component: self.component,
            ordinal: self.ordinal,
            file: self.file.clone(),
        }
    }

    /// Where it is in the file.
    #[cfg(test)]
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Its name in errors.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        self.component.label(self.ordinal)
    }

    /// Gives an error from this component's bytes its place: file and component.
    pub(crate) fn locate(&self, error: Error) -> Error {
        error.in_component(self.label()).in_file(&self.file)
    }
}

/// The components of a file.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    id: SegmentId,
    name: String,
    source: Source,
    parts: Vec<Part>,
}

impl SegmentFile {
    /// Reads header, trailer and table; the components themselves are not touched.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for what cannot be; [`ErrorKind::Unsupported`] for another format version, or a required component
    /// of a kind or version that this build does not know. Unknown components that are not required are skipped.
    pub(crate) fn open(source: Source, name: &str) -> Result<SegmentFile> {
        let (id, entries) = footer::read(&source).map_err(|e| e.in_file(name))?;
        let mut parts = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(component) = entry.known() else {
                if entry.flags & FLAG_REQUIRED == 0 {
                    continue;
                }
                let message =
                    format!("a required component has an unknown kind or version: kind {}, version {}", entry.code, entry.version);
                return Err(Error::new(ErrorKind::Unsupported, message).in_component(entry.label()).in_file(name).at(entry.offset));
            };
            parts.push(Part {
                source: source.clone(),
                // Inside of the file, as `footer::read` checked, so the numbers fit.
                range: entry.offset..entry.offset + entry.length,
                held: OnceLock::new(),
                crc32: entry.crc32,
                verified: AtomicBool::new(false),
                component,
                ordinal: entry.ordinal,
                file: name.to_owned(),
            });
        }
        Ok(SegmentFile { id, name: name.to_owned(), source, parts })
    }

    /// The same file, with nothing of it held.
    pub(crate) fn again(&self) -> SegmentFile {
        let parts = self.parts.iter().map(Part::again).collect();
        SegmentFile { id: self.id, name: self.name.clone(), source: self.source.clone(), parts }
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The segment's id, from the header.
    pub(crate) fn id(&self) -> SegmentId {
        self.id
    }

    /// The name it was opened by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The length of the file in bytes.
    #[cfg(test)]
    pub(crate) fn length(&self) -> u64 {
        self.source.len()
    }

    /// All components that this build knows, in file order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// A component, if the file has it.
    pub(crate) fn find(&self, component: Component, ordinal: u16) -> Option<&Part> {
        self.parts.iter().find(|part| (part.component, part.ordinal) == (component, ordinal))
    }

    /// A component that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is not.
    pub(crate) fn part(&self, component: Component, ordinal: u16) -> Result<&Part> {
        self.find(component, ordinal)
            .ok_or_else(|| Error::corrupt("a component is missing").in_component(component.label(ordinal)).in_file(&self.name))
    }

    /// Compares the checksums of all components but blocks, which have their own.
    ///
    /// # Errors
    /// As [`Part::bytes`], for the first that differs.
    #[cfg(test)]
    pub(crate) fn verify(&self) -> Result<()> {
        self.parts.iter().try_for_each(Part::verify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::crc32;
    use crate::segment::file::writer::tests::file_of;
    use crate::storage::View;
    use proptest::prelude::*;

    fn open(bytes: &[u8]) -> Result<SegmentFile> {
        SegmentFile::open(Source::View(View::new(bytes.to_vec())), "segment-7")
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let file = open(bytes)?;
        file.parts().iter().map(|part| part.bytes().map(<[u8]>::to_vec)).collect()
    }

    proptest! {
        #[test]
        fn components_come_back(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..12)) {
            let components: Vec<_> = contents.iter().enumerate().map(|(i, c)| (i as u16 + 1, 1, 1, 0, c.clone())).collect();
            let (bytes, summary) = file_of(&components);
            let file = open(&bytes).unwrap();
            prop_assert_eq!((file.id(), file.length(), file.name()), (SegmentId(7), summary.length, "segment-7"));
            file.verify().unwrap();
            prop_assert_eq!(read_all(&bytes).unwrap(), contents);
            prop_assert!(file.parts().iter().all(|part| part.range().start % 8 == 0));
        }

        /// Every byte of a file is covered: by a checksum, by being a known magic, or by being zero. Blocks check themselves.
        #[test]
        fn any_changed_byte_is_found(content in proptest::collection::vec(any::<u8>(), 0..50), at: prop::sample::Index, mask in 1u8..) {
            let (mut bytes, _) = file_of(&[(1, 1, 1, 0, content.clone()), (11, 1, 1, 4, content)]);
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            let error = read_all(&bytes).unwrap_err();
            prop_assert_eq!((error.path(), error.kind()), (Some("segment-7"), ErrorKind::Corrupt));
            prop_assert!(error.component().is_some() && error.offset().is_some(), "{}", error);
        }

        #[test]
        fn cut_and_random_bytes_are_refused(cut: prop::sample::Index, random: Vec<u8>) {
            let (bytes, _) = file_of(&[(1, 1, 1, 0, vec![1; 30])]);
            prop_assert!(open(&bytes[..cut.index(bytes.len())]).is_err());
            prop_assert!(open(&random).is_err());
        }

        /// The checksums of table and trailer are made right again, so that what lies behind them is tried.
        #[test]
        fn a_lying_table_does_no_harm(at in 0usize..84, byte: u8, far in 0usize..20, far_byte: u8) {
            let (mut bytes, _) = file_of(&[(1, 1, 1, 0, vec![1; 30]), (2, 1, 0, 0, vec![2; 9]), (5, 1, 1, 0, vec![])]);
            let (table, trailer) = (bytes.len() - 32 - 84, bytes.len() - 32);
            bytes[table + at] = byte;
            let checksum = crc32(&bytes[table..trailer]);
            bytes[trailer + 12..trailer + 16].copy_from_slice(&checksum.to_le_bytes());
            bytes[trailer + far % 12] = far_byte;
            let checksum = crc32(&bytes[trailer..trailer + 20]);
            bytes[trailer + 20..trailer + 24].copy_from_slice(&checksum.to_le_bytes());
            let _ = read_all(&bytes);
        }
    }

    #[test]
    fn unknown_components_are_skipped_or_refused_by_name() {
        let (bytes, _) = file_of(&[(99, 1, 0, 0, vec![3]), (1, 1, 1, 0, vec![4])]);
        let file = open(&bytes).unwrap();
        assert_eq!(file.parts().len(), 1);
        assert_eq!(file.part(Component::Meta, 0).unwrap().bytes().unwrap(), [4]);
        assert_eq!(file.part(Component::Postings, 2).unwrap_err().component(), Some("postings 2"));

        let (bytes, _) = file_of(&[(99, 1, 1, 0, vec![3])]);
        let error = open(&bytes).unwrap_err();
        assert_eq!((error.kind(), error.component()), (ErrorKind::Unsupported, Some("component of kind 99")));

        let (bytes, _) = file_of(&[(11, 2, 1, 5, vec![3])]);
        let error = open(&bytes).unwrap_err();
        assert_eq!((error.kind(), error.component()), (ErrorKind::Unsupported, Some("postings 5")));
    }

    #[test]
    fn damage_is_named_at_every_use() {
        let (mut bytes, _) = file_of(&[(1, 1, 1, 0, vec![1; 30]), (7, 1, 1, 0, vec![2; 30])]);
        bytes[70] ^= 1;
        let file = open(&bytes).unwrap();
        let part = file.part(Component::Timestamps, 0).unwrap();
        for _ in 0..2 {
            let error = part.bytes().unwrap_err();
            assert!(error.to_string().starts_with("segment-7: checksum differs in timestamps at byte 64: expected crc32 "), "{error}");
        }
        assert!(file.part(Component::Meta, 0).unwrap().bytes().is_ok());
        assert!(file.verify().is_err());
    }
}
