//! [`Values`]: values of one column on their way from a block of an input to a block of the merged segment.

use crate::segment::block::chunk::{Encoding, encode_codes, encode_numbers};
use crate::segment::block::strings::{Place, StringValues};

/// Values of one column, in the form of the merged segment.
#[derive(Debug, Default)]
pub(super) enum Values {
    /// A column of one value holds none.
    #[default]
    None,
    Codes(Vec<u32>),
    Numbers(Vec<i64>),
    Strings(StringValues),
}

impl Values {
    /// Room for the values of a column of this encoding.
    pub(super) fn of(encoding: Encoding) -> Values {
        match encoding {
            Encoding::Constant => Values::None,
            Encoding::Codes => Values::Codes(Vec::new()),
            Encoding::Integers | Encoding::Times(_) => Values::Numbers(Vec::new()),
            Encoding::Strings => Values::Strings(StringValues::default()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Values::None => 0,
            Values::Codes(codes) => codes.len(),
            Values::Numbers(numbers) => numbers.len(),
            Values::Strings(strings) => strings.len(),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Values::None => {}
            Values::Codes(codes) => codes.clear(),
            Values::Numbers(numbers) => numbers.clear(),
            Values::Strings(strings) => strings.clear(),
        }
    }

    /// Appends values of another from a place on; returns the place behind them.
    #[inline]
    pub(super) fn append(&mut self, other: &Values, from: Place, count: usize) -> Place {
        let after = Place { value: from.value + count, ..from };
        let range = from.value..after.value;
        match (self, other) {
            (Values::Codes(own), Values::Codes(other)) => own.extend_from_slice(other.get(range).unwrap_or_default()),
            (Values::Numbers(own), Values::Numbers(other)) => own.extend_from_slice(other.get(range).unwrap_or_default()),
            (Values::Strings(own), Values::Strings(other)) => return own.append(other, from, count),
            _ => {}
        }
        after
    }

    /// Appends the chunk; nothing when there are no values.
    pub(super) fn encode(&self, raw: &mut Vec<u8>, plain: &mut Vec<u8>) {
        match self {
            _ if self.len() == 0 => {}
            Values::None => {}
            Values::Codes(codes) => encode_codes(codes, raw),
            Values::Numbers(numbers) => encode_numbers(numbers, raw),
            Values::Strings(strings) => strings.encode(raw, plain),
        }
    }
}
