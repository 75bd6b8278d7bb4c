//! Repair: from a damaged directory to one that opens without a complaint and answers everything that can still be read.
//!
//! [`look`] finds what is wrong, reading files [`through`] by calls, and [`run`] does something about it; [`meter`] says how far they are. [`catalog`] makes a catalog from the segment files; [`salvage`] reads what
//! a damaged segment still gives; [`rewrite`] makes segments of it; [`overlay`] lets a repair be tried without touching anything.

pub(crate) mod catalog;
pub(crate) mod look;
pub(crate) mod meter;
pub(crate) mod overlay;
pub(crate) mod rewrite;
pub(crate) mod run;
pub(crate) mod salvage;
pub(crate) mod through;
