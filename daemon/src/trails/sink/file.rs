//! `file`: a local folder, or one that is mounted.

use std::path::PathBuf;
use std::time::Duration;

use crate::trails::setting::members::{Form, Member};
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::object::folder::Folder;
use crate::trails::sink::object::formats::{self, COUNT};
use crate::trails::sink::object::segments::FORMAT as SEGMENTS;
use crate::trails::sink::object::sink::into_store;
use crate::trails::sink::seam::Sink;

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "file",
    doc: "files in a local or mounted folder",
    members: &MEMBERS,
    batch: BatchLimits { events: 50_000, bytes: 64 << 20, delay: Duration::from_secs(60) },
    whole_segments: |members| formats::named(members) == SEGMENTS,
    make,
    by_url: None,
};

const MEMBERS: [Member; 1 + COUNT] = formats::beside([Member::new("path", Form::Text, "the folder, an absolute path").required()]);

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let path = PathBuf::from(order.members.text("path").unwrap_or_default());
    if !path.is_absolute() {
        return Err("`path` must be absolute".into());
    }
    into_store(order, Box::new(Folder::new(path, order.hands)))
}
