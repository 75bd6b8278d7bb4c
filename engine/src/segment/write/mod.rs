//! Making a segment: [`segment`] writes every component from shreds, after [`plan_columns`] chose the encoding of each column.

pub(crate) mod plan_columns;
pub(crate) mod segment;
