//! [`SegmentSink`]: sealed segments as they are, as an archive: `TRAIL/segments/day=2026-11-22/FIRST-LAST-ID.segment` beside the day's manifest.
//!
//! A file is put first, then the manifest that names it; both are the same when they are put again. Backfills put into the same archive, since a segment is
//! what it is. The place is claimed before the first segment, and each carries the log's identity as its origin. Limits: a segment is put in one attempt of the worker
//! (five minutes).

use bytes::Bytes;
use tokio::sync::{Mutex, OnceCell};
use trail_engine::{SegmentInfo, View};

use crate::backend::Hands;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::manifest::{Archived, Manifest, NAME};
use crate::trails::sink::object::owner::Owner;
use crate::trails::sink::object::probe::probe;
use crate::trails::sink::object::store::{ORIGIN, Object, ObjectStore};
use crate::trails::sink::seam::{Delivered, Feed, Sink, Work};

/// The name of the format.
pub const FORMAT: &str = "segments";

/// Held while a manifest is read, changed and put.
static MANIFESTS: Mutex<()> = Mutex::const_new(());

/// Segments in a store.
#[derive(Debug)]
pub struct SegmentSink {
    trail: String,
    log: String,
    store: Box<dyn ObjectStore>,
    hands: Hands,
    claimed: OnceCell<u64>,
}

impl SegmentSink {
    /// Puts the segments of a trail into a store.
    #[must_use]
    pub fn new(order: &Order<'_>, store: Box<dyn ObjectStore>) -> SegmentSink {
        let (trail, log) = (order.trail.to_owned(), order.log.to_owned());
        SegmentSink { trail, log, store, hands: order.hands.clone(), claimed: OnceCell::new() }
    }

    async fn put(&self, segment: &SegmentInfo, file: &View) -> Result<Delivered, Fault> {
        let owner = Owner { log: &self.log, trail: &self.trail, purpose: FORMAT };
        self.claimed.get_or_try_init(|| owner.claim(&*self.store, 0)).await?;
        let (info, view) = (segment.clone(), file.clone());
        let archived = self.hands.compute.run(move || Ok(Archived::of(&info, &view))).await;
        let archived = archived.map_err(|e| Fault::later(format!("a segment cannot be summed now: {e}")))?;
        let folder = format!("{}/segments/day={}", self.trail, segment.day);
        let object =
            |name: &str, bytes, content_type| Object { key: format!("{folder}/{name}"), bytes, content_type, metadata: Vec::new() };
        let mut whole = object(&archived.file, Bytes::from_owner(file.clone()), "application/octet-stream");
        whole.metadata.push((ORIGIN.to_owned(), self.log.clone()));
        self.store.put(&whole).await?;
        let place = format!("{folder}/{NAME}");
        // A trail and its backfills write the same manifests.
        let _alone = MANIFESTS.lock().await;
        let mut manifest = match self.store.get(&place).await? {
            None => Manifest::of(&segment.day.to_string()),
            Some(bytes) => Manifest::read(&bytes).map_err(|problem| {
                Fault::setup(format!("{place} in {} is damaged: {problem}; move it away, and deliver the day again", self.store.place()))
            })?,
        };
        manifest.take(archived);
        let bytes = Bytes::from(manifest.write().map_err(Fault::later)?);
        let delivered = whole.bytes.len() as u64 + bytes.len() as u64;
        self.store.put(&object(NAME, bytes, "application/json")).await?;
        Ok(Delivered { objects: 2, bytes: delivered, ..Delivered::default() })
    }
}

impl Sink for SegmentSink {
    fn feed(&self) -> Feed {
        Feed::Segments
    }

    fn deliver<'a>(&'a self, _batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async { Err(Fault::refused("only whole segments are delivered here")) })
    }

    fn deliver_segment<'a>(&'a self, segment: &'a SegmentInfo, file: &'a View) -> Work<'a, Delivered> {
        Box::pin(self.put(segment, file))
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(probe(&*self.store))
    }
}
