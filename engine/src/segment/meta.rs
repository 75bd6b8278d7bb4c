//! The components `Meta` and `Dimensions`: what a segment covers, and which dimensions it has indexed.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::event::DimensionKind;
use crate::event::path::Path;
use crate::id::{Day, Sequence, Timestamp};
use crate::limits::{COMPONENT_BYTES_MAX, DIMENSIONS_MAX, SEGMENT_DOCUMENTS_MAX};

/// The component `Meta`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Meta {
    /// The UTC day on which the events were received.
    pub(crate) day: Day,
    pub(crate) first_sequence: Sequence,
    pub(crate) documents: u32,
    pub(crate) time_min: Timestamp,
    pub(crate) time_max: Timestamp,
    pub(crate) received_min: Timestamp,
    pub(crate) received_max: Timestamp,
    /// The length of the events' text.
    pub(crate) event_bytes: u64,
    /// Documents whose event time is their receive time for want of a readable one.
    pub(crate) without_time: RoaringBitmap,
}

impl Meta {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.put_u32(self.day.0 as u32);
        out.put_u32(self.documents);
        out.put_u64(self.first_sequence.0);
        for time in [self.time_min, self.time_max, self.received_min, self.received_max] {
            out.put_i64(time.0);
        }
        out.put_u64(self.event_bytes);
        self.without_time.serialize_into(out).map_err(|e| Error::io("cannot serialise a bitmap", e))
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Meta> {
        let mut reader = Reader::new(bytes);
        let mut meta = Meta {
            day: Day(reader.u32()? as i32),
            documents: reader.u32()?,
            first_sequence: Sequence(reader.u64()?),
            time_min: Timestamp(reader.i64()?),
            time_max: Timestamp(reader.i64()?),
            received_min: Timestamp(reader.i64()?),
            received_max: Timestamp(reader.i64()?),
            event_bytes: reader.u64()?,
            without_time: RoaringBitmap::new(),
        };
        if meta.documents == 0 || meta.documents > SEGMENT_DOCUMENTS_MAX {
            return Err(Error::corrupt("the number of documents is wrong").at(4).expected("at least 1", meta.documents));
        }
        let bitmap = reader.bytes(reader.remaining())?;
        meta.without_time =
            RoaringBitmap::deserialize_from(bitmap).map_err(|e| Error::corrupt("cannot read a bitmap").at(56).because(e))?;
        if meta.without_time.max().is_some_and(|max| max >= meta.documents) {
            return Err(Error::corrupt("a bitmap names documents that there are not").at(56));
        }
        if meta.without_time.serialized_size() != bitmap.len() {
            return Err(Error::corrupt("there are bytes after the bitmap")
                .at(56)
                .expected(meta.without_time.serialized_size(), bitmap.len()));
        }
        Ok(meta)
    }
}

/// One dimension of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DimensionEntry {
    pub(crate) name: String,
    pub(crate) kind: DimensionKind,
    /// The paths that could fill it.
    pub(crate) paths: Vec<Path>,
    /// For a keyword dimension: its terms in the dictionary.
    pub(crate) terms: Range<u32>,
}

/// Appends the component `Dimensions`.
pub(crate) fn encode_dimensions(dimensions: &[DimensionEntry], out: &mut Vec<u8>) {
    out.put_varint(dimensions.len() as u64);
    for dimension in dimensions {
        put_text(&dimension.name, out);
        out.put_u8(u8::from(dimension.kind == DimensionKind::Unique));
        out.put_varint(u64::from(dimension.terms.start));
        out.put_varint(u64::from(dimension.terms.end));
        out.put_varint(dimension.paths.len() as u64);
        dimension.paths.iter().for_each(|path| put_text(&path.to_string(), out));
    }
}

/// Reads the component `Dimensions`.
pub(crate) fn read_dimensions(bytes: &[u8]) -> Result<Vec<DimensionEntry>> {
    let mut reader = Reader::new(bytes);
    let count = reader.length(DIMENSIONS_MAX)?;
    let dimensions = (0..count).map(|_| read_dimension(&mut reader)).collect::<Result<_>>()?;
    reader.finish()?;
    Ok(dimensions)
}

fn read_dimension(reader: &mut Reader<'_>) -> Result<DimensionEntry> {
    let name = read_text(reader)?.to_owned();
    let kind = match reader.u8()? {
        0 => DimensionKind::Keyword,
        1 => DimensionKind::Unique,
        other => return Err(Error::corrupt("unknown kind of dimension").expected("0 or 1", other)),
    };
    let terms = reader.length(u32::MAX as usize)? as u32..reader.length(u32::MAX as usize)? as u32;
    let paths = reader.length(COMPONENT_BYTES_MAX)?;
    let paths = (0..paths).map(|_| Path::parse(read_text(reader)?).map_err(|e| Error::corrupt("a path is wrong").because(e)));
    Ok(DimensionEntry { name, kind, terms, paths: paths.collect::<Result<_>>()? })
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.put_varint(text.len() as u64);
    out.put_bytes(text.as_bytes());
}

fn read_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
    let length = reader.length(reader.remaining())?;
    std::str::from_utf8(reader.bytes(length)?).map_err(|e| Error::corrupt("a name is not UTF-8").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_and_dimensions_come_back() {
        let meta = Meta {
            day: Day(-3),
            first_sequence: Sequence(77),
            documents: 10,
            time_min: Timestamp::MIN,
            time_max: Timestamp(5),
            received_min: Timestamp(6),
            received_max: Timestamp(7),
            event_bytes: 1 << 40,
            without_time: [3, 9].into_iter().collect(),
        };
        let mut bytes = Vec::new();
        meta.encode(&mut bytes).unwrap();
        assert_eq!(Meta::read(&bytes).unwrap(), meta);
        for cut in 0..bytes.len() {
            assert!(Meta::read(&bytes[..cut]).is_err());
        }
        let dimensions = vec![DimensionEntry {
            name: "user".into(),
            kind: DimensionKind::Keyword,
            paths: vec![Path::parse("a.\"b.c\".*").unwrap()],
            terms: 3..9,
        }];
        bytes.clear();
        encode_dimensions(&dimensions, &mut bytes);
        assert_eq!(read_dimensions(&bytes).unwrap(), dimensions);
        for cut in 0..bytes.len() {
            assert!(read_dimensions(&bytes[..cut]).is_err());
        }
    }
}
