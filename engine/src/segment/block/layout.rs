//! [`Layout`]: the columns and shapes of a segment, and in which unit of a block each column is.
//!
//! A block is made of units that are compressed apart. A column with much to say has a unit of its own; small columns that stand next
//! to each other, and so mostly come from the same shapes, share one, up to a few KiB a block.

use crate::codec::compress::{compress, decompress};
use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::event::outline::ColumnPath;
use crate::event::path::{Path, Step};
use crate::event::scan::Class;
use crate::limits::{COLUMNS_MAX, COMPONENT_BYTES_MAX, EVENT_BYTES_MAX, EVENT_LEAVES_MAX, PATH_STEPS_MAX, SHAPES_MAX};
use crate::segment::block::chunk::Encoding;

/// One column of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnEntry {
    pub(crate) path: ColumnPath,
    pub(crate) encoding: Encoding,
    /// Whether any value has a backslash.
    pub(crate) has_escapes: bool,
    /// The unit that holds its chunks; units are counted from 1, unit 0 holds the shapes of the documents.
    pub(crate) unit: u32,
    /// For constants and codes: the first ordinal of its terms in the dictionary, and how many there are.
    pub(crate) terms: (u32, u32),
}

/// One shape of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShapeEntry {
    pub(crate) text: Box<[u8]>,
    /// The column of each leaf.
    pub(crate) columns: Box<[u32]>,
}

/// Columns and shapes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<ColumnEntry>,
    pub(crate) shapes: Vec<ShapeEntry>,
    /// For every unit its columns; unit 0 has none.
    pub(crate) units: Vec<Vec<u32>>,
    /// For every column how many values one document can have in it.
    most: Vec<u32>,
}

impl Layout {
    /// Works out which columns are in which unit.
    pub(crate) fn with_units(columns: Vec<ColumnEntry>, shapes: Vec<ShapeEntry>) -> Layout {
        let units = columns.iter().map(|c| c.unit as usize + 1).max().unwrap_or(1);
        let mut layout = Layout { columns, shapes, units: vec![Vec::new(); units], most: Vec::new() };
        layout.most = layout.count_most();
        for (number, column) in (0u32..).zip(&layout.columns) {
            if column.encoding != Encoding::Constant
                && let Some(unit) = layout.units.get_mut(column.unit as usize)
            {
                unit.push(number);
            }
        }
        layout
    }

    fn count_most(&self) -> Vec<u32> {
        let mut most = vec![0u32; self.columns.len()];
        for shape in &self.shapes {
            let mut slots = shape.columns.to_vec();
            slots.sort_unstable();
            for same in slots.chunk_by(|a, b| a == b) {
                if let Some(most) = same.first().and_then(|column| most.get_mut(*column as usize)) {
                    *most = (*most).max(same.len() as u32);
                }
            }
        }
        most
    }

    /// How many values one document can have in a column.
    pub(crate) fn most_in_one(&self, column: u32) -> usize {
        self.most.get(column as usize).map_or(0, |most| *most as usize)
    }

    /// Whether a column has a unit of its own.
    pub(crate) fn is_alone(&self, column: u32) -> bool {
        let unit = self.columns.get(column as usize).and_then(|entry| self.units.get(entry.unit as usize));
        unit.is_some_and(|columns| *columns == [column])
    }

    pub(crate) fn column(&self, column: u32) -> Result<&ColumnEntry> {
        self.columns.get(column as usize).ok_or_else(|| Error::corrupt("no such column").expected(self.columns.len(), column))
    }

    pub(crate) fn shape(&self, shape: u32) -> Result<&ShapeEntry> {
        self.shapes.get(shape as usize).ok_or_else(|| Error::corrupt("no such shape").expected(self.shapes.len(), shape))
    }
}

/// Gives every column its unit. `bytes` says how many bytes a column has in a block on average.
pub(crate) fn assign_units(columns: &mut [ColumnEntry], bytes: impl Fn(usize) -> usize) {
    let mut next = 1;
    let (mut shared, mut shared_bytes) = (0, 0);
    for (number, column) in columns.iter_mut().enumerate().filter(|(_, c)| c.encoding != Encoding::Constant) {
        let bytes = bytes(number);
        if bytes >= OWN_UNIT_BYTES {
            column.unit = next;
            next += 1;
            continue;
        }
        if shared == 0 || shared_bytes + bytes > SHARED_UNIT_BYTES {
            (shared, shared_bytes) = (next, 0);
            next += 1;
        }
        column.unit = shared;
        shared_bytes += bytes;
    }
}

/// A column with this many bytes in an average block gets a unit of its own.
pub(crate) const OWN_UNIT_BYTES: usize = 512;
/// Small columns share a unit up to this many bytes in an average block.
const SHARED_UNIT_BYTES: usize = 8_192;

/// Appends the component `Columns`.
pub(crate) fn encode_columns(columns: &[ColumnEntry], out: &mut Vec<u8>) -> Result<()> {
    let mut raw = Vec::new();
    raw.put_varint(columns.len() as u64);
    for column in columns {
        raw.put_u8(class_byte(column.path.class));
        raw.put_u8(column.encoding.to_byte() | u8::from(column.has_escapes) << 7);
        raw.put_varint(u64::from(column.unit));
        raw.put_varint(u64::from(column.terms.0));
        raw.put_varint(u64::from(column.terms.1));
        put_path(&column.path.path, &mut raw);
    }
    put_compressed(&raw, out)
}

fn put_path(path: &Path, raw: &mut Vec<u8>) {
    raw.put_varint(path.steps.len() as u64);
    for step in &path.steps {
        // Columns come from events, whose paths have no stars.
        let key = if let Step::Key(key) = step { key.as_str() } else { "" };
        raw.put_varint(key.len() as u64);
        raw.put_bytes(key.as_bytes());
    }
}

fn read_columns(bytes: &[u8]) -> Result<Vec<ColumnEntry>> {
    let raw = read_compressed(bytes)?;
    let mut reader = Reader::new(&raw);
    let count = reader.length(COLUMNS_MAX)?;
    let mut columns = Vec::with_capacity(count.min(raw.len()));
    for _ in 0..count {
        let class = read_class(reader.u8()?)?;
        let encoding = reader.u8()?;
        columns.push(ColumnEntry {
            encoding: Encoding::from_byte(encoding & 0x7f)?,
            has_escapes: encoding & 0x80 != 0,
            unit: reader.length(COLUMNS_MAX)? as u32,
            terms: (reader.length(u32::MAX as usize)? as u32, reader.length(u32::MAX as usize)? as u32),
            path: ColumnPath { path: read_path(&mut reader)?, class },
        });
    }
    reader.finish()?;
    Ok(columns)
}

fn read_path(reader: &mut Reader<'_>) -> Result<Path> {
    let steps = reader.length(PATH_STEPS_MAX)?;
    let mut path = Path::default();
    for _ in 0..steps {
        let length = reader.length(EVENT_BYTES_MAX)?;
        let key = std::str::from_utf8(reader.bytes(length)?).map_err(|e| Error::corrupt("a key is not UTF-8").because(e))?;
        path.steps.push(Step::Key(key.to_owned()));
    }
    Ok(path)
}

fn class_byte(class: Class) -> u8 {
    match class {
        Class::String => 0,
        Class::Literal => 1,
        Class::Whole => 2,
    }
}

fn read_class(byte: u8) -> Result<Class> {
    match byte {
        0 => Ok(Class::String),
        1 => Ok(Class::Literal),
        2 => Ok(Class::Whole),
        _ => Err(Error::corrupt("unknown class of column").expected("0 to 2", byte)),
    }
}

/// Appends the component `Shapes`.
pub(crate) fn encode_shapes(shapes: &[ShapeEntry], out: &mut Vec<u8>) -> Result<()> {
    let mut raw = Vec::new();
    raw.put_varint(shapes.len() as u64);
    for shape in shapes {
        raw.put_varint(shape.text.len() as u64);
        raw.put_bytes(&shape.text);
        raw.put_varint(shape.columns.len() as u64);
        shape.columns.iter().for_each(|column| raw.put_varint(u64::from(*column)));
    }
    put_compressed(&raw, out)
}

fn read_shapes(bytes: &[u8], columns: usize) -> Result<Vec<ShapeEntry>> {
    let raw = read_compressed(bytes)?;
    let mut reader = Reader::new(&raw);
    let count = reader.length(SHAPES_MAX)?;
    let mut shapes = Vec::with_capacity(count.min(raw.len()));
    for _ in 0..count {
        let length = reader.length(EVENT_BYTES_MAX)?;
        let text: Box<[u8]> = reader.bytes(length)?.into();
        let slots = reader.length(EVENT_LEAVES_MAX)?;
        let slot = |_| reader.length(columns.saturating_sub(1)).map(|c| c as u32);
        shapes.push(ShapeEntry { text, columns: (0..slots).map(slot).collect::<Result<_>>()? });
    }
    reader.finish()?;
    Ok(shapes)
}

/// Reads the components `Columns` and `Shapes`.
pub(crate) fn read(columns: &[u8], shapes: &[u8]) -> Result<Layout> {
    let columns = read_columns(columns).map_err(|e| e.in_component("columns"))?;
    let shapes = read_shapes(shapes, columns.len()).map_err(|e| e.in_component("shapes"))?;
    Ok(Layout::with_units(columns, shapes))
}

fn put_compressed(raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.put_u32(raw.len() as u32);
    compress(raw, 3, out).map(|_| ())
}

fn read_compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let length = reader.u32()? as usize;
    if length > COMPONENT_BYTES_MAX {
        return Err(Error::corrupt("a component is too long").expected(format_args!("at most {COMPONENT_BYTES_MAX}"), length));
    }
    let mut raw = Vec::new();
    decompress(reader.bytes(reader.remaining())?, length, &mut raw)?;
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(path: &str, encoding: Encoding, unit: u32) -> ColumnEntry {
        let path = ColumnPath { path: Path::parse(path).unwrap(), class: Class::String };
        ColumnEntry { path, encoding, has_escapes: unit == 2, unit, terms: (7, 9) }
    }

    #[test]
    fn columns_and_shapes_come_back() {
        let columns = vec![column("a.\"b.c\"", Encoding::Codes, 1), column("d", Encoding::Constant, 0), column("e", Encoding::Strings, 2)];
        let shapes = vec![ShapeEntry { text: b"{\"a\":\x00}"[..].into(), columns: [2, 0, 2].into() }];
        let (mut column_bytes, mut shape_bytes) = (Vec::new(), Vec::new());
        encode_columns(&columns, &mut column_bytes).unwrap();
        encode_shapes(&shapes, &mut shape_bytes).unwrap();
        let layout = read(&column_bytes, &shape_bytes).unwrap();
        assert_eq!((layout.columns, layout.shapes), (columns, shapes));
        assert_eq!(layout.units, [vec![], vec![0], vec![2]]);
        for cut in 0..column_bytes.len() {
            assert!(read(&column_bytes[..cut], &shape_bytes).is_err());
        }
    }

    #[test]
    fn large_columns_are_alone_and_small_ones_share() {
        let mut columns: Vec<_> = (0..40).map(|i| column(&format!("k{i}"), Encoding::Codes, 0)).collect();
        columns[3].encoding = Encoding::Constant;
        assign_units(&mut columns, |i| if i == 1 { 5_000 } else { 400 });
        assert_eq!(columns[..5].iter().map(|c| c.unit).collect::<Vec<_>>(), [1, 2, 1, 0, 1]);
        assert_eq!(columns[39].unit, 3);
    }
}
