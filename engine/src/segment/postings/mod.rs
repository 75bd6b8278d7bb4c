//! The documents of every term: [`lists`] is the component, [`elias_fano`] one of its forms, [`bitmap`] the checked reading of one
//! roaring bitmap from it; [`by_document`] turns it round, in memory.

pub(crate) mod bitmap;
pub(crate) mod by_document;
pub(crate) mod elias_fano;
pub(crate) mod lists;
