//! [`Columns`]: the distinct values of every column, numbered in the order of their first appearance.
//!
//! The columns of events use it, and the terms of dimensions: a dimension is a column too.

use hashbrown::HashTable;

use crate::codec::same::same;
use crate::event::values::{column_hash, value_hash};

/// A value of a column: its number in the column.
pub(crate) type Code = u32;

/// The distinct values of one column.
///
/// A column whose values hardly ever recur (ids, tokens) stops looking for repetitions: its values are kept one by one, and the same
/// value may have several codes.
#[derive(Debug, Default)]
pub(crate) struct Column {
    /// Where each value is in the arena.
    values: Vec<(u32, u32)>,
    /// Whether any value has a backslash, so that it is not its own decoded text.
    has_escapes: bool,
    /// Whether values are kept one by one.
    is_unique: bool,
    /// About how many values there are, repetitions included.
    pub(crate) count: u64,
}

/// What an entry of the table takes: tables double, so that they are three quarters full at best and hardly half on average.
const ENTRY_BYTES: usize = 2 * (size_of::<Entry>() + 1);

/// How many entries are kept at hand: 24 bytes each.
// Where a model makes a log a million times, clearing the table would be most of the work.
const RECENT: usize = if cfg!(feature = "models") { 1 << 6 } else { 1 << 14 };

/// From this many values on, a column may be found to be one of unique values.
const UNIQUE_FROM_VALUES: u64 = 4_096;

/// All columns, with their values in one arena.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Whether equal values have one code in every column, whatever it costs.
    always_distinct: bool,
    columns: Vec<Column>,
    arena: Vec<u8>,
    table: HashTable<Entry>,
    /// Entries that were met of late, by the low bits of their hashes: the table does not fit a processor's cache, this does.
    recent: Vec<Entry>,
}

/// One distinct value. Its place is kept here too, so that a look-up goes straight to the bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    hash: u64,
    column: u32,
    code: Code,
    start: u32,
    end: u32,
}

impl Column {
    /// How many distinct values it has; for a column of unique values about that many.
    pub(crate) fn distinct(&self) -> usize {
        self.values.len()
    }
}

impl Columns {
    /// Columns in which equal values always have one code.
    pub(crate) fn always_distinct() -> Columns {
        Columns { always_distinct: true, ..Columns::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Reserves room for values of so many bytes together, and for so many that are looked up. Room costs nothing until it is used,
    /// and growing by doubling uses all of it twice.
    pub(crate) fn reserve(&mut self, bytes: usize, values: usize) {
        self.arena.reserve(bytes);
        self.table.reserve(values, |e| e.hash);
    }

    /// Forgets everything and keeps the memory: touching a page for the first time costs more than filling it.
    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        self.arena.clear();
        self.table.clear();
        self.recent.clear();
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

    /// The values of a column, by code.
    pub(crate) fn values(&self, column: u32) -> impl Iterator<Item = &[u8]> + Clone {
        let places = self.columns.get(column as usize).map(|c| c.values.as_slice()).unwrap_or_default();
        places.iter().map(|(start, end)| self.arena.get(*start as usize..*end as usize).unwrap_or_default())
    }

    /// The values of a column from a code on.
    pub(crate) fn values_from(&self, column: u32, code: usize) -> impl Iterator<Item = &[u8]> {
        let places = self.columns.get(column as usize).and_then(|c| c.values.get(code..)).unwrap_or_default();
        places.iter().map(|(start, end)| self.arena.get(*start as usize..*end as usize).unwrap_or_default())
    }

    /// Whether a value must be looked for among all values of the column: it may be written in several ways, or have several codes.
    pub(crate) fn needs_scan(&self, column: u32) -> bool {
        self.columns.get(column as usize).is_some_and(|c| c.has_escapes || c.is_unique)
    }

    /// Whether any value of the column has a backslash.
    pub(crate) fn has_escapes(&self, column: u32) -> bool {
        self.columns.get(column as usize).is_some_and(|c| c.has_escapes)
    }

    /// The code of a value, if the column has it. Not for columns that need a scan.
    pub(crate) fn find(&self, column: u32, value: &[u8]) -> Option<Code> {
        self.find_hashed(column_hash(value_hash(value), column), column, value).map(|entry| entry.code)
    }

    #[inline]
    fn find_hashed(&self, hash: u64, column: u32, value: &[u8]) -> Option<Entry> {
        self.table.find(hash, |entry| self.is_it(entry, hash, column, value)).copied()
    }

    #[inline]
    fn is_it(&self, entry: &Entry, hash: u64, column: u32, value: &[u8]) -> bool {
        entry.hash == hash
            && entry.column == column
            && self.arena.get(entry.start as usize..entry.end as usize).is_some_and(|it| same(it, value))
    }

    /// As [`Columns::find_hashed`], by way of the entries at hand.
    #[inline]
    fn find_recent(&mut self, hash: u64, column: u32, value: &[u8]) -> Option<Entry> {
        if self.recent.is_empty() {
            // No column has this number.
            self.recent.resize(RECENT, Entry { column: u32::MAX, ..Entry::default() });
        }
        let at = hash as usize % RECENT;
        if let Some(entry) = self.recent.get(at).filter(|entry| self.is_it(entry, hash, column, value)) {
            return Some(*entry);
        }
        let entry = self.find_hashed(hash, column, value)?;
        self.recent.get_mut(at).into_iter().for_each(|slot| *slot = entry);
        Some(entry)
    }

    /// Brings to hand what looking up these values will need: columns and [`value_hash`]es.
    ///
    /// A look-up waits for the entry at hand, then for the table, and then for the value's bytes, before it can tell what to do next. Here
    /// nothing depends on what was read for another value, so that a processor waits for those of many values at once.
    pub(crate) fn touch(&mut self, values: impl Iterator<Item = (u32, u64)>) {
        let Columns { columns, arena, table, recent, .. } = self;
        let mut read = 0;
        for (column, hash) in values {
            // Those of a column of unique values are not looked for.
            if columns.get(column as usize).is_none_or(|column| column.is_unique) {
                continue;
            }
            let hash = column_hash(hash, column);
            let Some(at_hand) = recent.get_mut(hash as usize % RECENT) else { return };
            if at_hand.hash != hash
                && let Some(entry) = table.find(hash, |entry| entry.hash == hash)
            {
                *at_hand = *entry;
            }
            read ^= arena.get(at_hand.start as usize).copied().unwrap_or_default();
        }
        std::hint::black_box(read);
    }

    /// The code of a value that comes `uses` times, which is added if it is new; `hash` is its [`value_hash`]. `None` when the
    /// arena is full (4 GiB).
    pub(crate) fn intern(&mut self, column: u32, value: &[u8], hash: u64, uses: u32) -> Option<Code> {
        let state = self.columns.get(column as usize)?;
        if state.is_unique {
            return self.push(column, value, uses).map(|(code, ..)| code);
        }
        let hash = column_hash(hash, column);
        if let Some(entry) = self.find_recent(hash, column, value) {
            self.columns.get_mut(column as usize)?.count += u64::from(uses);
            return Some(entry.code);
        }
        let (code, start, end) = self.push(column, value, uses)?;
        self.table.insert_unique(hash, Entry { hash, column, code, start, end }, |e| e.hash);
        Some(code)
    }

    /// Appends a value that is new, or is taken for new.
    fn push(&mut self, column: u32, value: &[u8], uses: u32) -> Option<(Code, u32, u32)> {
        let start = u32::try_from(self.arena.len()).ok()?;
        let end = u32::try_from(self.arena.len() + value.len()).ok()?;
        let may_be_unique = !self.always_distinct;
        let state = self.columns.get_mut(column as usize)?;
        let code = u32::try_from(state.values.len()).ok()?;
        state.values.push((start, end));
        state.has_escapes |= memchr::memchr(b'\\', value).is_some();
        state.count += u64::from(uses);
        let hardly_recurs = state.count >= UNIQUE_FROM_VALUES && state.values.len() as u64 * 10 > state.count * 9;
        state.is_unique |= may_be_unique && hardly_recurs;
        self.arena.extend_from_slice(value);
        Some((code, start, end))
    }

    /// The memory that is held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let values: usize = self.columns.iter().map(|c| c.values.len() * 8).sum();
        self.arena.len() + values + self.table.len() * ENTRY_BYTES + self.columns.len() * 160
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(columns: &mut Columns, column: u32, value: &[u8]) -> Code {
        columns.intern(column, value, value_hash(value), 1).unwrap()
    }

    #[test]
    fn equal_values_share_a_code_within_a_column_only() {
        let mut columns = Columns::default();
        let (a, b) = (columns.add(), columns.add());
        let codes: Vec<_> = [b"x".as_slice(), b"", b"x", b"x", b"y", b""].iter().map(|v| intern(&mut columns, a, v)).collect();
        assert_eq!(codes, [0, 1, 0, 0, 2, 1]);
        assert_eq!(intern(&mut columns, b, b"y"), 0);
        assert_eq!((columns.find(a, b"y"), columns.find(b, b"x")), (Some(2), None));
        assert_eq!((columns.get(a).unwrap().distinct(), columns.get(a).unwrap().count), (3, 6));
        assert_eq!(columns.values(a).collect::<Vec<_>>(), [b"x".as_slice(), b"", b"y"]);
        assert_eq!(columns.value(a, 9), b"");
    }

    #[test]
    fn a_column_of_unique_values_stops_looking_for_repetitions() {
        let mut columns = Columns::default();
        let (ids, names) = (columns.add(), columns.add());
        for i in 0..2 * UNIQUE_FROM_VALUES {
            intern(&mut columns, ids, format!("id-{i}").as_bytes());
            intern(&mut columns, names, format!("name-{}", i % 100).as_bytes());
        }
        assert!(columns.needs_scan(ids) && !columns.needs_scan(names));
        let again = intern(&mut columns, ids, b"id-7");
        assert_eq!((again, columns.value(ids, again)), (2 * UNIQUE_FROM_VALUES as u32, b"id-7".as_slice()));
        assert_eq!(columns.get(names).unwrap().distinct(), 100);
    }
}
