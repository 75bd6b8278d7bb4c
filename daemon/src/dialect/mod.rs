//! What the daemon knows of the vendors' events: one TOML file each that says how its events are recognised and where
//! their properties are, and the code that turns these files into the engine's
//! [`DimensionSchema`](trail_engine::event::schema::DimensionSchema).

mod document;
mod load;
mod operator;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod evaluate;

pub use load::default_schema;
pub use operator::{OperatorDimension, OperatorKind, extend};
