//! The query language: its tree, its reader, and the canonical form in which it is printed.

mod display;
mod field;
mod lexer;
mod parser;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub(super) use field::dimension_named;
pub use tree::{Comparison, Field, Filter, Test};
