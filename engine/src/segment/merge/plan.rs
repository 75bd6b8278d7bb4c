//! [`Plan`]: how each column of the merged segment is encoded, and how the values of each input get there.
//!
//! A column keeps its encoding where all inputs agree on it. Terms and typed values become typed values when all terms can be read
//! as such, and strings become terms when enough of them recur. Everything else becomes strings, which can hold any value. Neither is more than what flushing the same events might choose.

use std::sync::Arc;

use crate::error::Result;
use crate::event::scan::Class;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::layout::{ColumnEntry, OWN_UNIT_BYTES};
use crate::segment::block::typed::{parse_integer, parse_time};
use crate::segment::file::writer::SegmentFileWriter;
use crate::segment::merge::breath::Breath;
use crate::segment::merge::held::Held;
use crate::segment::merge::recurring::Recurring;
use crate::segment::merge::terms::{Places, Terms};
use crate::segment::merge::united::{United, UnitedColumn};
use crate::segment::merge::ways::Way;
use crate::segment::read::opened::Segment;
use crate::segment::write::units::{UnitPlan, block_bytes};

/// The columns of the merged segment.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) entries: Vec<ColumnEntry>,
    pub(super) units: UnitPlan,
    /// For each input, for each of its columns.
    pub(super) ways: Vec<Vec<Way>>,
}

impl Plan {
    /// Chooses encodings, and merges the terms of all columns that keep them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`]; what the file and `breathe` give.
    pub(super) fn new(
        inputs: &[Arc<Segment>],
        (united, recurring): (&United<'_>, Vec<Option<Recurring>>),
        held: &Held<'_>,
        terms: &mut Terms<'_>,
        file: &mut SegmentFileWriter,
        breathe: &mut Breath<'_>,
    ) -> Result<Plan> {
        let mut ways: Vec<Vec<Way>> = Vec::new();
        for input in inputs {
            ways.push(input.layout()?.columns.iter().map(|_| Way::Constant).collect());
        }
        let mut entries = Vec::with_capacity(united.columns.len());
        for (column, recurring) in united.columns.iter().zip(recurring) {
            let (entry, column_ways) = match held.plan(column, terms)? {
                Some(planned) => planned,
                None if held.has_too_many_terms(column) => (as_strings(column), texts(column, terms)?),
                None => plan_column((column, recurring.map(Arc::new)), terms, file, breathe)?,
            };
            for ((input, number, _), way) in column.sources.iter().zip(column_ways) {
                if let Some(slot) = ways.get_mut(*input).and_then(|ways| ways.get_mut(*number as usize)) {
                    *slot = way;
                }
            }
            entries.push(entry);
        }
        let documents = inputs.iter().map(|input| input.meta().documents).sum();
        let sizes: Vec<usize> =
            united.columns.iter().zip(&entries).map(|(column, entry)| bytes_of(column, entry, documents, inputs)).collect();
        let units = UnitPlan::new(&mut entries, |column| sizes.get(column).copied().unwrap_or(0));
        Ok(Plan { entries, units, ways })
    }
}

/// About how many bytes a column has in a block. Strings were measured when the inputs were made: what had a unit of its own there
/// has one here, and what had not is small.
fn bytes_of(column: &UnitedColumn<'_>, entry: &ColumnEntry, documents: u32, inputs: &[Arc<Segment>]) -> usize {
    const TEXT_BYTES: usize = 16;
    let bytes = block_bytes(column.values, documents, entry.encoding, || TEXT_BYTES);
    let is_alone = |(input, _, entry): &(usize, u32, &ColumnEntry)| {
        let layout = inputs.get(*input).and_then(|input| input.layout().ok());
        layout.and_then(|layout| layout.units.get(entry.unit as usize)).is_some_and(|columns| columns.len() == 1)
    };
    match entry.encoding {
        Encoding::Strings if column.sources.iter().any(is_alone) => OWN_UNIT_BYTES,
        Encoding::Strings => bytes.min(OWN_UNIT_BYTES - 1),
        _ => bytes,
    }
}

fn plan_column(
    (column, recurring): (&UnitedColumn<'_>, Option<Arc<Recurring>>),
    terms: &mut Terms<'_>,
    file: &mut SegmentFileWriter,
    breathe: &mut Breath<'_>,
) -> Result<(ColumnEntry, Vec<Way>)> {
    let wanted = if recurring.is_some() { Encoding::Codes } else { wanted(column) };
    let (mut encoding, mut ways) = (wanted, Vec::new());
    if let Encoding::Integers | Encoding::Times(_) = encoding {
        match numbers(column, encoding, terms)? {
            Some(found) => ways = found,
            None => encoding = Encoding::Strings,
        }
    }
    let first = terms.len();
    match encoding {
        Encoding::Constant | Encoding::Codes => {
            let groups: Vec<_> = column.sources.iter().map(|(input, _, entry)| (*input, range_of(entry))).collect();
            let mut places = terms.merge(&groups, recurring.as_ref(), file, breathe)?;
            let one = terms.len() - first == 1;
            encoding = if one { Encoding::Constant } else { Encoding::Codes };
            let strings = recurring.map(|strings| {
                let codes = strings.codes(places.pop().unwrap_or_default().as_slice());
                (strings, codes)
            });
            ways =
                column.sources.iter().zip(places).map(|((_, _, entry), places)| of_codes(one, entry, places, strings.as_ref())).collect();
        }
        Encoding::Strings => ways = texts(column, terms)?,
        _ => {}
    }
    let entry = ColumnEntry {
        path: column.path.clone(),
        encoding,
        has_escapes: column.sources.iter().any(|(_, _, entry)| entry.has_escapes),
        unit: 0,
        terms: if terms.len() == first { (0, 0) } else { (first, terms.len() - first) },
    };
    Ok((entry, ways))
}

/// The column as one of strings, which can hold any value.
fn as_strings(column: &UnitedColumn<'_>) -> ColumnEntry {
    let has_escapes = column.sources.iter().any(|(_, _, entry)| entry.has_escapes);
    ColumnEntry { path: column.path.clone(), encoding: Encoding::Strings, has_escapes, unit: 0, terms: (0, 0) }
}

/// The encoding that all inputs agree on, terms aside; strings when they do not.
fn wanted(column: &UnitedColumn<'_>) -> Encoding {
    let of_terms = |encoding: &Encoding| matches!(encoding, Encoding::Constant | Encoding::Codes);
    let mut others = column.sources.iter().map(|(_, _, entry)| entry.encoding).filter(|encoding| !of_terms(encoding));
    match others.next() {
        None if column.path.class == Class::Whole => Encoding::Strings,
        None => Encoding::Codes,
        Some(first) if others.all(|other| other == first) => first,
        Some(_) => Encoding::Strings,
    }
}

fn range_of(entry: &ColumnEntry) -> std::ops::Range<u32> {
    entry.terms.0..entry.terms.0.saturating_add(entry.terms.1)
}

fn of_codes(one: bool, entry: &ColumnEntry, places: Places, strings: Option<&(Arc<Recurring>, Arc<[u32]>)>) -> Way {
    match (entry.encoding, strings) {
        _ if one => Way::Constant,
        (Encoding::Constant, _) => Way::Code(places.first().copied().unwrap_or(0)),
        (Encoding::Strings, Some((strings, codes))) => Way::Recurring(strings.clone(), codes.clone()),
        _ => Way::Codes(places),
    }
}

/// The ways to numbers; `None` when a term is none.
fn numbers(column: &UnitedColumn<'_>, encoding: Encoding, terms: &mut Terms<'_>) -> Result<Option<Vec<Way>>> {
    let parse = |term: &[u8]| match encoding {
        Encoding::Times(form) => parse_time(term, form),
        _ => parse_integer(term),
    };
    let mut ways = Vec::new();
    for (input, _, entry) in &column.sources {
        let (mut numbers, mut all) = (Vec::new(), true);
        let mut take = |term: &[u8]| match parse(term) {
            Some(number) => numbers.push(number),
            None => all = false,
        };
        if let Encoding::Constant | Encoding::Codes = entry.encoding {
            terms.for_each(*input, range_of(entry), &mut take)?;
        }
        ways.push(match entry.encoding {
            _ if !all => return Ok(None),
            Encoding::Constant => Way::Number(numbers.first().copied().unwrap_or(0)),
            Encoding::Codes => Way::CodeNumbers(numbers),
            _ => Way::Numbers,
        });
    }
    Ok(Some(ways))
}

fn texts(column: &UnitedColumn<'_>, terms: &mut Terms<'_>) -> Result<Vec<Way>> {
    let mut ways = Vec::new();
    for (input, _, entry) in &column.sources {
        ways.push(match entry.encoding {
            Encoding::Constant => {
                let mut text = Vec::new();
                terms.for_each(*input, entry.terms.0..entry.terms.0.saturating_add(1), |term| text.extend_from_slice(term))?;
                Way::Text(text)
            }
            Encoding::Codes => Way::CodeTexts(entry.terms.0, entry.terms.1),
            _ => Way::Texts,
        });
    }
    Ok(ways)
}
