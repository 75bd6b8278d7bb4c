//! The kinds of components of a segment file, and the entry of one in the component table.

use std::borrow::Cow;

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::Result;

/// The length of a table entry.
pub(crate) const ENTRY_BYTES: usize = 28;

/// The bit of [`Entry::flags`] that says: who does not know this component cannot read the file.
pub(crate) const FLAG_REQUIRED: u16 = 1;

/// The version of every component that this build writes.
pub(crate) const COMPONENT_VERSION: u16 = 1;

/// What a component holds. The numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub(crate) enum Component {
    /// What the segment covers.
    Meta = 1,
    /// The texts of events without their values.
    Shapes = 2,
    /// The paths and kinds of the columns.
    Columns = 3,
    /// The terms of columns and dimensions.
    Dictionary = 4,
    /// The values of events; each block has a checksum of its own.
    Blocks = 5,
    /// Where the blocks are.
    BlockDirectory = 6,
    /// Event times in document order.
    Timestamps = 7,
    /// Sequence offsets in document order.
    Sequences = 8,
    /// Receive times in sequence order.
    Received = 9,
    /// The indexed dimensions.
    Dimensions = 10,
    /// The documents of each term of one keyword dimension.
    Postings = 11,
    /// From unique key to document, for one unique dimension.
    UniqueIndex = 12,
    /// Columns that follow from others, and how.
    Predictions = 13,
}

impl Component {
    const ALL: [Component; 13] = [
        Component::Meta,
        Component::Shapes,
        Component::Columns,
        Component::Dictionary,
        Component::Blocks,
        Component::BlockDirectory,
        Component::Timestamps,
        Component::Sequences,
        Component::Received,
        Component::Dimensions,
        Component::Postings,
        Component::UniqueIndex,
        Component::Predictions,
    ];

    /// The component with a written number.
    pub(crate) fn from_code(code: u16) -> Option<Component> {
        Component::ALL.into_iter().find(|component| component.code() == code)
    }

    /// The number that is written.
    pub(crate) fn code(self) -> u16 {
        self as u16
    }

    /// Its name in errors and listings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Component::Meta => "meta",
            Component::Shapes => "shapes",
            Component::Columns => "columns",
            Component::Dictionary => "dictionary",
            Component::Blocks => "blocks",
            Component::BlockDirectory => "block directory",
            Component::Timestamps => "timestamps",
            Component::Sequences => "sequences",
            Component::Received => "received",
            Component::Dimensions => "dimensions",
            Component::Postings => "postings",
            Component::UniqueIndex => "unique index",
            Component::Predictions => "predictions",
        }
    }

    /// Its name with its ordinal, where there is one for each dimension.
    pub(crate) fn label(self, ordinal: u16) -> Cow<'static, str> {
        match self {
            Component::Postings | Component::UniqueIndex => Cow::Owned(format!("{} {ordinal}", self.name())),
            _ => Cow::Borrowed(self.name()),
        }
    }

    /// Whether the table holds a checksum of all of it; the parts of blocks are checked one by one.
    pub(crate) fn has_checksum(self) -> bool {
        self != Component::Blocks
    }
}

/// A component as the table names it; the kind may be one that this build does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) code: u16,
    pub(crate) version: u16,
    pub(crate) flags: u16,
    /// The dimension it belongs to, or 0.
    pub(crate) ordinal: u16,
    /// Where it starts in the file.
    pub(crate) offset: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// The checksum of its bytes, or 0.
    pub(crate) crc32: u32,
}

impl Entry {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.code);
        out.put_u16(self.version);
        out.put_u16(self.flags);
        out.put_u16(self.ordinal);
        out.put_u64(self.offset);
        out.put_u64(self.length);
        out.put_u32(self.crc32);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Entry> {
        Ok(Entry {
            code: reader.u16()?,
            version: reader.u16()?,
            flags: reader.u16()?,
            ordinal: reader.u16()?,
            offset: reader.u64()?,
            length: reader.u64()?,
            crc32: reader.u32()?,
        })
    }

    /// The component, if this build can read it.
    pub(crate) fn known(&self) -> Option<Component> {
        Component::from_code(self.code).filter(|_| self.version == COMPONENT_VERSION)
    }

    /// What to call it, known or not.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        match Component::from_code(self.code) {
            Some(component) => component.label(self.ordinal),
            None => Cow::Owned(format!("component of kind {}", self.code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_format() {
        let codes: Vec<u16> = Component::ALL.iter().map(|c| c.code()).collect();
        assert_eq!(codes, (1..=13).collect::<Vec<_>>());
        assert!(Component::ALL.iter().all(|c| Component::from_code(c.code()) == Some(*c)));
        assert_eq!(Component::from_code(14), None);
    }

    #[test]
    fn entries_come_back() {
        let entry = Entry { code: 11, version: 1, flags: 1, ordinal: 7, offset: 1 << 40, length: 99, crc32: 5 };
        let mut bytes = Vec::new();
        entry.put(&mut bytes);
        assert_eq!(bytes.len(), ENTRY_BYTES);
        assert_eq!(Entry::read(&mut Reader::new(&bytes)).unwrap(), entry);
        assert_eq!(entry.label(), "postings 7");
    }
}
