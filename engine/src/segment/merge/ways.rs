//! [`Way`]: from the values of an input to those of the merged segment.

use std::sync::Arc;

use crate::segment::merge::recurring::Recurring;
use crate::segment::merge::terms::Places;

/// How the values of an input's column become those of the merged column.
#[derive(Debug)]
pub(super) enum Way {
    /// The merged column has but one value.
    Constant,
    /// The one value of the input, as a code.
    Code(u32),
    /// Code for code.
    Codes(Places),
    /// The one value of the input, as a number.
    Number(i64),
    /// For each code a number.
    CodeNumbers(Vec<i64>),
    /// Number for number.
    Numbers,
    /// The one value of the input, as text.
    Text(Vec<u8>),
    /// For each code its term: the first ordinal, and how many terms there are.
    CodeTexts(u32, u32),
    /// The values themselves.
    Texts,
    /// For each value the code of the term that it became: the values, and the code of each.
    Recurring(Arc<Recurring>, Arc<[u32]>),
}
