//! Making a segment: [`segment`] writes every component from shreds, after [`plan_columns`] chose the encoding of each column and
//! [`units`] what is compressed together.

pub(crate) mod plan_columns;
pub(crate) mod segment;
mod sorted;
pub(crate) mod units;
