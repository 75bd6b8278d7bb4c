//! [`Recurring`]: values that one segment kept as strings, because most of them were new to it, and that recur when several are merged.
//!
//! A column of sessions or keys is one of strings in every small segment, and one of codes in a large one: half as long. So the values of such
//! columns are gathered, but for those of columns that hold nothing twice even within an input, and as long as they take no
//! more than a fixed room together.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::error::Result;
use crate::event::scan::Class;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::strings::StringValues;
use crate::segment::block::units::for_each_shared;
use crate::segment::merge::breath::Breath;
use crate::segment::merge::front::start_of;
use crate::segment::merge::united::{United, UnitedColumn};
use crate::segment::read::opened::Segment;

/// What a value takes beside its text: its place, its entry in a table that is half empty, its rank.
const VALUE_BYTES: usize = 48;

/// From so many values on, a column whose values hardly recur is given up.
const JUDGED_FROM: u64 = 4_096;

/// Where to find a value: its place is kept here too, so that a look-up goes straight to the bytes.
#[derive(Debug)]
struct Entry {
    hash: u64,
    number: u32,
    place: (u32, u32),
}

/// The distinct values of one column.
#[derive(Debug, Default)]
pub(super) struct Recurring {
    arena: Vec<u8>,
    places: Vec<(u32, u32)>,
    table: HashTable<Entry>,
    hasher: foldhash::fast::FixedState,
    /// The numbers of the values, in the order of their bytes.
    order: Vec<u32>,
    seen: u64,
}

impl Recurring {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The number of a value, if it was gathered.
    #[inline]
    pub(super) fn find(&self, value: &[u8]) -> Option<u32> {
        self.find_hashed(self.hash(value), value)
    }

    #[inline]
    fn find_hashed(&self, hash: u64, value: &[u8]) -> Option<u32> {
        let is_it = |e: &Entry| e.hash == hash && self.arena.get(e.place.0 as usize..e.place.1 as usize) == Some(value);
        self.table.find(hash, is_it).map(|entry| entry.number)
    }

    /// The number of the value with this rank.
    pub(super) fn number_at(&self, rank: u32) -> u32 {
        self.order.get(rank as usize).copied().unwrap_or(0)
    }

    /// For each value its code, from the codes by rank.
    pub(super) fn codes(&self, by_rank: &[u32]) -> Arc<[u32]> {
        let mut codes = vec![0; self.places.len()];
        for (number, code) in self.order.iter().zip(by_rank) {
            if let Some(slot) = codes.get_mut(*number as usize) {
                *slot = *code;
            }
        }
        codes.into()
    }

    /// The value with this number.
    #[inline]
    pub(super) fn value(&self, number: u32) -> &[u8] {
        let place = self.places.get(number as usize);
        place.and_then(|(start, end)| self.arena.get(*start as usize..*end as usize)).unwrap_or_default()
    }

    fn hash(&self, value: &[u8]) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = self.hasher.build_hasher();
        hasher.write(value);
        hasher.finish()
    }

    fn add(&mut self, value: &[u8]) {
        self.seen += 1;
        let hash = self.hash(value);
        if self.find_hashed(hash, value).is_some() {
            return;
        }
        let (start, number) = (self.arena.len() as u32, self.places.len() as u32);
        self.arena.extend_from_slice(value);
        let place = (start, self.arena.len() as u32);
        self.places.push(place);
        self.table.insert_unique(hash, Entry { hash, number, place }, |entry| entry.hash);
    }

    fn bytes(&self) -> usize {
        self.arena.len() + self.places.len() * VALUE_BYTES
    }

    fn is_hopeless(&self) -> bool {
        self.seen >= JUDGED_FROM && self.places.len() as u64 * 100 > self.seen * 98
    }

    fn sort(&mut self) {
        // Most are told apart by their first bytes, which stand side by side.
        let mut order: Vec<(u64, u32)> = (0..self.places.len() as u32).map(|number| (start_of(self.value(number)), number)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.value(a.1).cmp(self.value(b.1))));
        self.order = order.into_iter().map(|(_, number)| number).collect();
    }
}

/// Gathers the values of the columns that may become codes, in at most `room` bytes; for each column `Some` if it will.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming the input; what `breathe` gives.
pub(super) fn gather(
    inputs: &[Arc<Segment>],
    united: &United<'_>,
    room: usize,
    breathe: &mut Breath<'_>,
) -> Result<Vec<Option<Recurring>>> {
    let mut gathered: Vec<Option<Recurring>> = united.columns.iter().map(|column| may_recur(column).then(Recurring::default)).collect();
    for (number, input) in inputs.iter().enumerate() {
        gather_input(input, (number, united), (&mut gathered, room), breathe).map_err(|e| input.locate(e))?;
        input.release();
    }
    for (column, slot) in united.columns.iter().zip(&mut gathered) {
        let terms: u64 = column.sources.iter().map(|(_, _, entry)| u64::from(entry.terms.1)).sum();
        // As flushing chooses.
        let is_worth = |found: &Recurring| (found.len() as u64 + terms) * 2 <= column.values;
        *slot = slot.take().filter(is_worth);
        slot.iter_mut().for_each(Recurring::sort);
    }
    Ok(gathered)
}

fn may_recur(column: &UnitedColumn<'_>) -> bool {
    let of = |encodings: &[Encoding]| column.sources.iter().filter(|(_, _, entry)| encodings.contains(&entry.encoding)).count();
    let strings = of(&[Encoding::Strings]);
    column.path.class != Class::Whole && strings > 0 && strings + of(&[Encoding::Constant, Encoding::Codes]) == column.sources.len()
}

fn gather_input(
    input: &Segment,
    (number, united): (usize, &United<'_>),
    (gathered, room): (&mut [Option<Recurring>], usize),
    breathe: &mut Breath<'_>,
) -> Result<()> {
    let (layout, directory) = (input.layout()?, input.block_directory()?);
    let renumbered = united.inputs.get(number).map(|r| r.columns.as_slice()).unwrap_or_default();
    let (mut raw, mut values) = (Vec::new(), StringValues::default());
    let is_wanted = |column: u32, gathered: &[Option<Recurring>]| {
        let is_open = renumbered.get(column as usize).and_then(|c| gathered.get(*c as usize)).is_some_and(Option::is_some);
        is_open && layout.columns.get(column as usize).is_some_and(|entry| entry.encoding == Encoding::Strings)
    };
    for number in 0..directory.blocks() {
        breathe()?;
        let block = input.block(&directory, number)?;
        for (unit, columns) in (0u32..).zip(&layout.units) {
            if !columns.iter().any(|column| is_wanted(*column, gathered)) {
                continue;
            }
            raw.clear();
            let plain = block.unit(unit, &mut raw)?;
            let mut take = |column: u32, raw: &[u8], plain: &[u8]| {
                if !is_wanted(column, gathered) || raw.is_empty() {
                    return Ok(());
                }
                values.clear();
                values.read(raw, plain)?;
                let slot = renumbered.get(column as usize).and_then(|c| gathered.get_mut(*c as usize));
                slot.into_iter().flatten().for_each(|found| values.for_each(|value| found.add(value)));
                Ok(())
            };
            match columns.as_slice() {
                [column] => take(*column, &raw, plain)?,
                columns => for_each_shared(&raw, |place, chunk| match columns.get(place as usize) {
                    Some(column) => take(*column, chunk, &[]),
                    None => Ok(()),
                })?,
            }
        }
        give_up(gathered, room);
    }
    Ok(())
}

/// Gives up columns whose values hardly recur; and, while there is too little room, the largest.
fn give_up(gathered: &mut [Option<Recurring>], room: usize) {
    for slot in gathered.iter_mut() {
        *slot = slot.take().filter(|found| !found.is_hopeless());
    }
    while gathered.iter().flatten().map(Recurring::bytes).sum::<usize>() > room {
        let largest = gathered.iter_mut().max_by_key(|slot| slot.as_ref().map_or(0, Recurring::bytes));
        largest.into_iter().for_each(|slot| *slot = None);
    }
}
