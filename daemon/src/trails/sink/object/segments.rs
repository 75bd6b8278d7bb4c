//! [`SegmentSink`]: sealed segments as they are, as an archive: `TRAIL/segments/day=2026-11-22/FIRST-LAST-ID.segment` beside the day's manifest.
//!
//! Files are put first, each while its sum is computed beside it, then the manifest that names them; all are the same when they are put again. Backfills put into the same archive, since a segment is
//! what it is. The place is claimed before the first segment, and each carries the log's identity as its origin. Limits: segments that go together are put in one attempt of the worker
//! (five minutes, and a second for each 64 KiB).

use bytes::Bytes;
use tokio::sync::{Mutex, OnceCell};
use trail_engine::error::{Error, ErrorKind};

use crate::backend::Hands;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::manifest::{Archived, Manifest, NAME, file_name};
use crate::trails::sink::object::owner::Owner;
use crate::trails::sink::object::probe::probe;
use crate::trails::sink::object::store::{ORIGIN, Object, ObjectStore};
use crate::trails::sink::seam::{Delivered, Feed, Sealed, Sink, Work};

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
    /// The manifest that was put last, with its key, while it is not known that it came as it was: what is there may be damaged then.
    unsure: Mutex<Option<(String, Manifest)>>,
}

impl SegmentSink {
    /// Puts the segments of a trail into a store.
    #[must_use]
    pub fn new(order: &Order<'_>, store: Box<dyn ObjectStore>) -> SegmentSink {
        let (trail, log) = (order.trail.to_owned(), order.log.to_owned());
        SegmentSink { trail, log, store, hands: order.hands.clone(), claimed: OnceCell::new(), unsure: Mutex::default() }
    }

    /// Puts segments of one day, and names them in its manifest.
    async fn put(&self, segments: &[Sealed]) -> Result<Delivered, Fault> {
        let Some(day) = segments.first().map(|sealed| sealed.info.day) else { return Ok(Delivered::default()) };
        let owner = Owner { log: &self.log, trail: &self.trail, purpose: FORMAT };
        self.claimed.get_or_try_init(|| owner.claim(&*self.store, 0)).await?;
        let summing: Vec<_> = segments.iter().map(|sealed| tokio::spawn(sum(self.hands.clone(), sealed.clone()))).collect();
        let folder = format!("{}/segments/day={day}", self.trail);
        let object =
            |name: &str, bytes, content_type| Object { key: format!("{folder}/{name}"), bytes, content_type, metadata: Vec::new() };
        let mut delivered = Delivered { objects: 1 + segments.len() as u64, ..Delivered::default() };
        for sealed in segments {
            let bytes = Bytes::from_owner(sealed.file.clone());
            let mut whole = object(&file_name(&sealed.info), bytes, "application/octet-stream");
            whole.metadata.push((ORIGIN.to_owned(), self.log.clone()));
            self.store.put_before(&whole).await?;
            delivered.bytes += whole.bytes.len() as u64;
        }
        let mut archived = Vec::with_capacity(summing.len());
        for sum in summing {
            let summed = sum.await.unwrap_or_else(|e| Err(Error::new(ErrorKind::Io, "it ended in a panic").because(e)));
            archived.push(summed.map_err(|e| Fault::later(format!("a segment cannot be summed now: {e}")))?);
        }
        let place = format!("{folder}/{NAME}");
        // A trail and its backfills write the same manifests.
        let _alone = MANIFESTS.lock().await;
        let mut unsure = self.unsure.lock().await;
        let mut manifest = match unsure.take() {
            Some((key, manifest)) if key == place => manifest,
            _ => self.manifest(&place, &day.to_string()).await?,
        };
        archived.into_iter().for_each(|segment| manifest.take(segment));
        let bytes = Bytes::from(manifest.write().map_err(Fault::later)?);
        delivered.bytes += bytes.len() as u64;
        *unsure = Some((place, manifest));
        self.store.put(&object(NAME, bytes, "application/json")).await?;
        *unsure = None;
        Ok(delivered)
    }

    /// The manifest of a day as it is there.
    async fn manifest(&self, place: &str, day: &str) -> Result<Manifest, Fault> {
        let Some(bytes) = self.store.get(place).await? else { return Ok(Manifest::of(day)) };
        Manifest::read(&bytes).map_err(|problem| {
            Fault::setup(format!("{place} in {} is damaged: {problem}; move it away, and deliver the day again", self.store.place()))
        })
    }
}

/// What the manifest says of a segment.
async fn sum(hands: Hands, sealed: Sealed) -> trail_engine::error::Result<Archived> {
    hands.compute.run(move || Ok(Archived::of(&sealed.info, &sealed.file))).await
}

impl Sink for SegmentSink {
    fn feed(&self) -> Feed {
        Feed::Segments
    }

    fn deliver<'a>(&'a self, _batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async { Err(Fault::refused("only whole segments are delivered here")) })
    }

    fn deliver_segments<'a>(&'a self, segments: &'a [Sealed]) -> Work<'a, Delivered> {
        Box::pin(self.put(segments))
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(probe(&*self.store))
    }
}
