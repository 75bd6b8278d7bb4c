//! [`SegmentSink`]: sealed segments as they are, as an archive: `TRAIL/segments/day=2026-11-22/FIRST-LAST-ID.segment` beside the day's manifest.
//!
//! Files are put first, each while its sum is computed beside it, then the manifest that names them; all are the same when they are put again. Backfills put into the same archive, since a segment is
//! what it is. The place is claimed before the first segment, and each carries the log's identity as its origin. Limits: segments that go together are put in one attempt of the worker
//! (five minutes, and a second for each 64 KiB).

use bytes::Bytes;
use tokio::sync::{Mutex, OnceCell};
use trail_engine::error::{Error, ErrorKind};

use crate::backend::Hands;
use crate::mutants;
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
    claimed: OnceCell<()>,
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
        self.claimed.get_or_try_init(|| async { owner.claim(&*self.store, 0).await.map(drop) }).await?;
        let summing: Vec<_> = segments.iter().map(|sealed| tokio::spawn(sum(self.hands.clone(), sealed.clone()))).collect();
        let folder = format!("{}/segments/day={day}", self.trail);
        let object =
            |name: &str, bytes, content_type| Object { key: format!("{folder}/{name}"), bytes, content_type, metadata: Vec::new() };
        let mut delivered = Delivered { objects: 1 + segments.len() as u64, ..Delivered::default() };
        for sealed in segments {
            let bytes = Bytes::from_owner(sealed.file.clone());
            let mut whole = object(&file_name(&sealed.info), bytes, "application/octet-stream");
            whole.metadata.push((ORIGIN.to_owned(), self.log.clone()));
            let put = self.store.put_before(&whole).await;
            if !mutants::is("manifest_without_the_segment") {
                put?;
            }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use trail_engine::id::{Day, SegmentId, Sequence, Timestamp};
    use trail_engine::{SegmentInfo, View};

    use super::*;
    use crate::backend::Schedule;
    use crate::config::Config;
    use crate::trails::sink::object::folder::Folder;

    fn sealed(first: u64) -> Sealed {
        let file = View::new(vec![first as u8; 100]);
        let info = SegmentInfo {
            id: SegmentId(first),
            day: Day(20_779),
            first_sequence: Sequence(first),
            last_sequence: Sequence(first + 9),
            time_min: Timestamp(0),
            time_max: Timestamp(9),
            events: 10,
            event_bytes: 1_000,
            file_bytes: 100,
            sealed: true,
            readable: true,
            crc32: 0,
        };
        Sealed { info, file }
    }

    #[tokio::test]
    async fn a_manifest_names_no_segment_that_did_not_come() {
        let directory = tempfile::tempdir().unwrap();
        let hands = Hands::new(&Schedule::of(&Config::default()));
        let store = Box::new(Folder::new(directory.path().to_owned(), &hands));
        let sink = SegmentSink { trail: "t".into(), log: "l".into(), store, hands, claimed: OnceCell::new(), unsure: Mutex::default() };
        let segments = [sealed(1), sealed(11)];
        let folder = directory.path().join("t/segments/day=2026-11-22");
        // A folder stands where the second belongs.
        let obstacle = folder.join(file_name(&segments[1].info));
        fs::create_dir_all(&obstacle).unwrap();
        assert!(sink.put(&segments).await.is_err());
        assert!(!folder.join(NAME).exists(), "a manifest of what is not there");
        fs::remove_dir(&obstacle).unwrap();
        sink.put(&segments).await.unwrap();
        let manifest = Manifest::read(&fs::read(folder.join(NAME)).unwrap()).unwrap();
        assert_eq!(manifest.segments.iter().map(|segment| segment.first_sequence).collect::<Vec<_>>(), [1, 11]);
        assert!(manifest.segments.iter().all(|segment| fs::read(folder.join(&segment.file)).unwrap().len() as u64 == segment.bytes));
    }
}
