//! [`Columns`]: the distinct values of every column, numbered in the order of their first appearance.
//!
//! The columns of events use it, and the terms of dimensions: a dimension is a column too.

use hashbrown::HashTable;

/// A value of a column: its number in the column.
pub(crate) type Code = u32;

/// The distinct values of one column.
#[derive(Debug, Default)]
pub(crate) struct Column {
    /// Where each value is in the arena.
    values: Vec<(u32, u32)>,
    /// The code of the value that came last: half of all values repeat it.
    last: Code,
    /// Whether any value has a backslash, so that it is not its own decoded text.
    has_escapes: bool,
    /// How many values there are, repetitions included.
    pub(crate) count: u64,
}

/// All columns, with their values in one arena.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    arena: Vec<u8>,
    table: HashTable<Entry>,
    hasher: foldhash::fast::FixedState,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    column: u32,
    code: Code,
}

impl Column {
    /// How many distinct values it has.
    pub(crate) fn distinct(&self) -> usize {
        self.values.len()
    }
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn get(&self, column: u32) -> Option<&Column> {
        self.columns.get(column as usize)
    }

    /// Adds a column; returns its number.
    pub(crate) fn add(&mut self) -> u32 {
        self.columns.push(Column::default());
        self.columns.len() as u32 - 1
    }

    /// The value with a code; empty for one that was never given.
    #[inline]
    pub(crate) fn value(&self, column: u32, code: Code) -> &[u8] {
        let place = self.columns.get(column as usize).and_then(|c| c.values.get(code as usize));
        place.and_then(|(start, end)| self.arena.get(*start as usize..*end as usize)).unwrap_or_default()
    }

    /// The distinct values of a column, by code.
    pub(crate) fn values(&self, column: u32) -> impl Iterator<Item = &[u8]> {
        let places = self.columns.get(column as usize).map(|c| c.values.as_slice()).unwrap_or_default();
        places.iter().map(|(start, end)| self.arena.get(*start as usize..*end as usize).unwrap_or_default())
    }

    /// Whether any value of the column has a backslash.
    pub(crate) fn has_escapes(&self, column: u32) -> bool {
        self.columns.get(column as usize).is_some_and(|c| c.has_escapes)
    }

    /// The code of a value, if the column has it.
    pub(crate) fn find(&self, column: u32, value: &[u8]) -> Option<Code> {
        let hash = self.hash(column, value);
        self.table.find(hash, |e| e.hash == hash && e.column == column && self.value(column, e.code) == value).map(|e| e.code)
    }

    /// The code of a value, which is added if it is new. `None` when the arena is full (4 GiB).
    pub(crate) fn intern(&mut self, column: u32, value: &[u8]) -> Option<Code> {
        let state = self.columns.get(column as usize)?;
        let last = state.last;
        if state.count > 0 && self.value(column, last) == value {
            self.columns.get_mut(column as usize)?.count += 1;
            return Some(last);
        }
        let code = match self.find(column, value) {
            Some(code) => code,
            None => self.insert(column, value)?,
        };
        let state = self.columns.get_mut(column as usize)?;
        state.last = code;
        state.count += 1;
        Some(code)
    }

    fn insert(&mut self, column: u32, value: &[u8]) -> Option<Code> {
        let hash = self.hash(column, value);
        let start = u32::try_from(self.arena.len()).ok()?;
        let end = u32::try_from(self.arena.len() + value.len()).ok()?;
        let state = self.columns.get_mut(column as usize)?;
        let code = u32::try_from(state.values.len()).ok()?;
        state.values.push((start, end));
        state.has_escapes |= memchr::memchr(b'\\', value).is_some();
        self.arena.extend_from_slice(value);
        self.table.insert_unique(hash, Entry { hash, column, code }, |e| e.hash);
        Some(code)
    }

    #[inline]
    fn hash(&self, column: u32, value: &[u8]) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = self.hasher.build_hasher();
        hasher.write(value);
        hasher.write_u32(column);
        hasher.finish()
    }

    /// The memory that is held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let values: usize = self.columns.iter().map(|c| c.values.len() * 8).sum();
        self.arena.len() + values + self.table.len() * 18 + self.columns.len() * 160
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_code_within_a_column_only() {
        let mut columns = Columns::default();
        let (a, b) = (columns.add(), columns.add());
        let codes: Vec<_> = [b"x".as_slice(), b"", b"x", b"x", b"y", b""].iter().map(|v| columns.intern(a, v).unwrap()).collect();
        assert_eq!(codes, [0, 1, 0, 0, 2, 1]);
        assert_eq!(columns.intern(b, b"y"), Some(0));
        assert_eq!((columns.find(a, b"y"), columns.find(b, b"x")), (Some(2), None));
        assert_eq!((columns.get(a).unwrap().distinct(), columns.get(a).unwrap().count), (3, 6));
        assert_eq!(columns.values(a).collect::<Vec<_>>(), [b"x".as_slice(), b"", b"y"]);
        assert_eq!(columns.value(a, 9), b"");
    }
}
