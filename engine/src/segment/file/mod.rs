//! The file around the components: footer, checksums, and the reader and writer that put components into it and take them out.
//!
//! [`writer`] appends components and closes with the [`footer`]; [`reader`] hands out the [`component`]s of a [`source`], each checked on
//! first touch; [`fixed`] reads arrays of equal entries in place.

pub(crate) mod component;
pub(crate) mod fixed;
pub(crate) mod footer;
pub(crate) mod reader;
pub(crate) mod source;
pub(crate) mod writer;
