//! Opening a directory: [`mod@open`] brings back what was acknowledged, in [`pieces`], [`strays`] decides about files that the catalog does not name.

pub(crate) mod open;
mod pieces;
pub(crate) mod strays;
