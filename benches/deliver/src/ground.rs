//! [`Ground`]: what every part of a measurement stands on.

use std::path::PathBuf;

use crate::arguments::Arguments;

/// What every part needs.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) binary: PathBuf,
    pub(crate) load: PathBuf,
}

/// A row of the table.
pub(crate) fn row(name: &str, measured: &str, wanted: &str) {
    println!("| {name} | {measured} | {wanted} |");
}
