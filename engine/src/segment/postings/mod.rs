//! The documents of every term: [`lists`] is the component, [`bitmap`] the checked reading of one roaring bitmap from it.

pub(crate) mod bitmap;
pub(crate) mod lists;
