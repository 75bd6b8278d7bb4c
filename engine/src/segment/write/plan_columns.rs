//! How each column of a new segment is encoded, and the dictionary that comes of it.

use crate::error::Result;
use crate::event::scan::Class;
use crate::segment::block::chunk::Encoding;
use crate::segment::block::layout::ColumnEntry;
use crate::segment::block::typed::{TimeForm, parse_integer, parse_time, parse_uuid};
use crate::segment::dictionary::writer::DictionaryWriter;
use crate::segment::write::dimension_terms::DimensionTerms;
use crate::segment::write::sorted::sorted;
use crate::segment::write::units::{UnitPlan, block_bytes};
use crate::shred::Shreds;

/// The columns of a new segment.
#[derive(Debug, Default)]
pub(crate) struct ColumnPlan {
    pub(crate) entries: Vec<ColumnEntry>,
    /// For columns of codes: from the code in the shreds to the ordinal among the sorted terms.
    pub(crate) ordinals: Vec<Vec<u32>>,
    pub(crate) units: UnitPlan,
}

/// Plans the columns and pushes their terms, column by column, to the dictionary.
pub(crate) fn plan(shreds: &Shreds, dimensions: &DimensionTerms<'_>, dictionary: &mut DictionaryWriter) -> Result<ColumnPlan> {
    let mut plan = ColumnPlan::default();
    for (column, path) in (0u32..).zip(shreds.paths()) {
        let mut encoding = choose(shreds, column, path.class);
        let held = matches!(encoding, Encoding::Codes | Encoding::Strings).then(|| dimensions.hold(shreds, column)).flatten();
        let (terms, ordinals) = match (encoding, held) {
            (_, Some(held)) => {
                encoding = Encoding::Codes;
                held
            }
            (Encoding::Constant | Encoding::Codes, None) => push_terms(shreds, column, dictionary)?,
            _ => ((0, 0), Vec::new()),
        };
        let has_escapes = shreds.columns.has_escapes(column);
        plan.entries.push(ColumnEntry { path: (**path).clone(), encoding, has_escapes, unit: 0, terms });
        plan.ordinals.push(ordinals);
    }
    let values = |column| shreds.columns.get(column).map_or(0, |state| state.count);
    let sizes: Vec<usize> = plan
        .entries
        .iter()
        .zip(0u32..)
        .map(|(entry, column)| block_bytes(values(column), shreds.len(), entry.encoding, || text_bytes(shreds, column)))
        .collect();
    plan.units = UnitPlan::new(&mut plan.entries, |column| sizes.get(column).copied().unwrap_or(0));
    Ok(plan)
}

/// Whether the values of a column recur so often that they are codes, whatever their terms are.
pub(crate) fn is_recurring(shreds: &Shreds, column: u32) -> bool {
    shreds.columns.get(column).is_some_and(|state| recurs(state.distinct() as u64, state.count))
}

fn recurs(distinct: u64, count: u64) -> bool {
    distinct * 2 <= count || distinct <= 16
}

fn choose(shreds: &Shreds, column: u32, class: Class) -> Encoding {
    let Some(state) = shreds.columns.get(column) else { return Encoding::Strings };
    let (distinct, count) = (state.distinct() as u64, state.count);
    if class == Class::Whole {
        return Encoding::Strings;
    }
    if distinct == 1 {
        return Encoding::Constant;
    }
    let all = |passes: fn(&[u8]) -> bool| shreds.columns.values(column).all(passes);
    if class == Class::Literal && distinct * 2 > count && all(|v| parse_integer(v).is_some()) {
        return Encoding::Integers;
    }
    // Documents are in time order, so the differences of a time column are small even where its values recur.
    if class == Class::String && distinct * 6 > count {
        for form in [TimeForm::Seconds, TimeForm::Millis] {
            if shreds.columns.values(column).all(|v| parse_time(v, form).is_some()) {
                return Encoding::Times(form);
            }
        }
    }
    if recurs(distinct, count) { Encoding::Codes } else { Encoding::Strings }
}

/// Pushes the distinct values of a column in byte order; returns where they are, and the ordinal of each code.
fn push_terms(shreds: &Shreds, column: u32, dictionary: &mut DictionaryWriter) -> Result<((u32, u32), Vec<u32>)> {
    let terms = sorted(shreds.columns.values(column));
    let first = dictionary.len();
    let mut ordinals = vec![0; terms.len()];
    for ((term, code), ordinal) in terms.iter().zip(0u32..) {
        dictionary.push(term)?;
        if let Some(slot) = ordinals.get_mut(*code as usize) {
            *slot = ordinal;
        }
    }
    Ok(((first, terms.len() as u32), ordinals))
}

/// About how many bytes a value of a column of strings has in the part that is compressed.
fn text_bytes(shreds: &Shreds, column: u32) -> usize {
    const SAMPLE: usize = 256;
    let (mut bytes, mut count) = (0, 0);
    for value in shreds.columns.values(column).take(SAMPLE) {
        bytes += if parse_uuid(value).is_some() { 1 } else { value.len() + 2 };
        count += 1;
    }
    bytes.div_ceil(count.max(1))
}
