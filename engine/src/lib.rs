//! An append-only, segmented, indexed log engine for audit events.
//!
//! Events are JSON objects. They are kept byte for byte, become durable before they are acknowledged, can be asked by any of their
//! values, and are dropped a whole day at a time once they are older than the retention. The engine is synchronous, knows no
//! vendor and no network: which properties of an event are indexed comes as data, a [`event::DimensionSchema`].
//!
//! ```
//! use trail_engine::budget::Cancel;
//! use trail_engine::event::{Dimension, DimensionKind, DimensionSchema, EventKind, Mapping, Path, Pick, Source};
//! use trail_engine::query::{PageRequest, Selection};
//! use trail_engine::{AuditLog, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What is indexed: `user`, from one path. Every other path can be asked too, without being declared.
//! let user = Mapping { dimension: "user".into(), pick: Pick::First, sources: vec![Source::value(Path::parse("actor.name")?)] };
//! let schema = DimensionSchema {
//!     dimensions: vec![
//!         Dimension { name: "event_id".into(), kind: DimensionKind::Unique },
//!         Dimension { name: "user".into(), kind: DimensionKind::Keyword },
//!     ],
//!     kinds: vec![EventKind {
//!         name: "any".into(),
//!         recognise: vec![],
//!         event_id: vec![Path::parse("id")?],
//!         event_time: vec![Path::parse("at")?],
//!         mappings: vec![user],
//!     }],
//! };
//! let directory = tempfile::tempdir()?;
//! let log = AuditLog::open(directory.path(), Options { schema, ..Options::default() })?;
//!
//! // Reading and indexing happens here, on the caller's thread; bad events come back with a reason.
//! let lines: [&[u8]; 3] = [
//!     br#"{"id":"1","at":"2026-11-22T08:00:00Z","actor":{"name":"alice"},"action":{"kind":"delete","id":7}}"#,
//!     br#"{"id":"2","at":"2026-11-22T08:00:01Z","actor":{"name":"bob"}}"#,
//!     br#"{"id":"3","#,
//! ];
//! let (batch, rejected) = log.prepare(&mut lines.into_iter())?;
//! assert_eq!((rejected.len(), rejected[0].index, rejected[0].code), (1, 2, "invalid_json"));
//!
//! // Returns once both events are on stable storage and visible.
//! let receipt = log.append(batch)?;
//! assert_eq!((receipt.accepted, receipt.duplicates), (2, 0));
//!
//! // The same bytes again are acknowledged, and not stored twice.
//! let (again, _) = log.prepare(&mut lines.into_iter().take(2))?;
//! assert_eq!(log.append(again)?.duplicates, 2);
//!
//! // A dimension and a path that nobody declared.
//! let wanted = Selection { q: "user:alice action.kind:del*".into(), from: Some("2026-11-22T00:00:00Z".into()), to: None };
//! let page = log.search(&wanted, &PageRequest::default(), &Cancel::default())?;
//! assert_eq!(page.events.len(), 1);
//! assert_eq!(page.events[0].text, lines[0]);
//! log.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//! * No server: no async, no HTTP, no keys, no configuration file. Those are the package `traild`.
//! * No database: events cannot be changed or deleted one by one, and nothing but JSON objects can be stored.
//! * No cluster: one process has a directory open for writing, and another is kept out by a lock.
//! * No proof against whoever can write to the disk: checksums find accidents, not forgers.
//! * No backup: a directory that is lost is lost. While it is in use it can be copied in this order: journals, catalog, segments.
//!
//! # The floors
//! Imports run down only. The bytes are described in `FORMAT.md`, the reasons in `DESIGN.md`, both beside this crate's sources.
//!
//! | floor | rooms |
//! |---|---|
//! | the log | [`audit_log`] |
//! | what happens to events over time | `lifecycle`: commit, flush, merging, seal, retention, recovery, repair, the catalog |
//! | questions and places | [`query`]; `head`, the mutable index; `segment`, the immutable one. They never import each other |
//! | what they share | `journal`, `shred`, [`index`] (the seam between questions and places), [`matcher`], [`options`], [`status`] |
//! | the ground | [`event`], [`storage`], `codec`, [`budget`], [`clock`], [`threads`] |
//! | the cellar | [`id`], [`limits`], [`error`]; `sync`, the door to locks; `mutants`, bugs on purpose for the tests of tests |

#![deny(missing_docs)]

pub mod audit_log;
pub mod budget;
pub mod clock;
pub(crate) mod codec;
pub mod error;
pub mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod head;
pub mod id;
pub mod index;
pub(crate) mod journal;
pub(crate) mod lifecycle;
pub mod limits;
pub mod matcher;
mod mutants;
pub mod options;
pub mod query;
pub(crate) mod segment;
pub(crate) mod shred;
pub mod status;
pub mod storage;
mod sync;
pub mod threads;

pub use audit_log::AuditLog;
pub use error::{Error, ErrorKind, Result};
pub use event::{Batch, Rejection};
pub use lifecycle::live::queue::{OnDone, Place, Receipt};
pub use options::{Hold, Options};
pub use status::{DimensionInfo, Gap, Health, Inspected, Notice, OnStep, Repaired, SegmentInfo, Stats, Step};
pub use storage::View;
