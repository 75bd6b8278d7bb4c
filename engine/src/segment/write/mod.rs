//! Making a segment: [`segment`] writes every component from an [`input`], after [`plan_columns`] chose the encoding of each column,
//! [`dimension_terms`] which terms columns and dimensions share, [`units`] what is compressed together, and [`predictions`] which columns follow from others.

pub(crate) mod dimension_terms;
pub(crate) mod input;
pub(crate) mod plan_columns;
pub(crate) mod predictions;
pub(crate) mod segment;
mod sorted;
pub(crate) mod units;
