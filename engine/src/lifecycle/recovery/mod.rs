//! Opening a directory: [`mod@open`] brings back what was acknowledged, [`strays`] decides about files that the catalog does not name.

pub(crate) mod open;
pub(crate) mod strays;
