//! Making a segment: [`segment`] writes every component from shreds, after [`plan_columns`] chose the encoding of each column,
//! [`units`] what is compressed together, and [`predictions`] which columns follow from others.

pub(crate) mod plan_columns;
pub(crate) mod predictions;
pub(crate) mod segment;
mod sorted;
pub(crate) mod units;
