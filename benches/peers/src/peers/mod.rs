//! The peers, one file each.

mod clickhouse;
mod clp;
mod python;
mod tantivy;
mod tantivy_event;
mod tantivy_index;
mod traild;
mod victorialogs;

pub(crate) use clickhouse::ClickHouse;
pub(crate) use clp::Clp;
pub(crate) use python::Python;
pub(crate) use tantivy::{SERVE as SERVE_TANTIVY, Tantivy};
pub(crate) use tantivy_index::serve as serve_tantivy;
pub(crate) use traild::Traild;
pub(crate) use victorialogs::VictoriaLogs;
