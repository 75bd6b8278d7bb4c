//! [`ObjectSink`]: a format over a store.

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::Hands;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::format::Format;
use crate::trails::sink::object::store::{Object, ObjectStore};
use crate::trails::sink::seam::{Delivered, Mark, Sink, Work};

/// Where a probe is written, under the prefix of the sink.
const PROBE: &str = "traild-probe";

/// Batches as objects.
#[derive(Debug)]
pub struct ObjectSink {
    store: Box<dyn ObjectStore>,
    format: Arc<dyn Format>,
    hands: Hands,
}

impl ObjectSink {
    /// Puts what a format makes into a store.
    #[must_use]
    pub fn new(store: Box<dyn ObjectStore>, format: Box<dyn Format>, hands: &Hands) -> ObjectSink {
        ObjectSink { store, format: format.into(), hands: hands.clone() }
    }

    async fn probed(&self) -> Result<(), Fault> {
        let bytes = Bytes::from_static(b"written by traild to find out whether it may\n");
        let object = Object { key: PROBE.into(), bytes: bytes.clone(), content_type: "text/plain", metadata: Vec::new() };
        self.store.put(&object).await?;
        let read = self.store.get(PROBE).await?;
        if read.as_ref() != Some(&bytes) {
            return Err(Fault::setup(format!("what was written to {} did not come back as it was", self.store.place())));
        }
        self.store.remove(PROBE).await
    }
}

impl Sink for ObjectSink {
    fn names_batches(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let (format, copy) = (self.format.clone(), batch.clone());
            let encoded = self.hands.compute.run(move || Ok(format.encode(&copy))).await;
            let objects = encoded.map_err(|e| Fault::later(format!("a batch cannot be encoded now: {e}")))??;
            let mut delivered = Delivered::default();
            for object in &objects {
                self.store.put(object).await?;
                delivered.objects += 1;
                delivered.bytes += object.bytes.len() as u64;
            }
            delivered.state = self.format.state();
            Ok(delivered)
        })
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(self.probed())
    }

    fn mark<'a>(&'a self, trail: &'a str) -> Work<'a, Option<Mark>> {
        Box::pin(async move {
            let keys = self.store.list(&self.format.folder(trail)).await?;
            Ok(keys.iter().filter_map(|key| self.format.mark(key)).max_by_key(|mark| mark.number))
        })
    }
}
