//! The terms of a segment: many sorted groups of terms in one component, each term known by its ordinal.
//!
//! [`writer`] gathers terms into compressed pages, [`reader`] finds terms in them, [`walk`] reads nearly all of them once, [`page`] is
//! the form of one page.

pub(crate) mod page;
pub(crate) mod reader;
pub(crate) mod walk;
pub(crate) mod writer;
