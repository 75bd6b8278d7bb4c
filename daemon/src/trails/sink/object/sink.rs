//! [`ObjectSink`]: a format over a store.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use trail_engine::id::Sequence;

use crate::backend::Hands;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::format::Format;
use crate::trails::sink::object::store::{Object, ObjectStore};
use crate::trails::sink::seam::{Delivered, Mark, Sink, Work};

/// Where a probe is written, under the prefix of the sink.
const PROBE: &str = "traild-probe";
/// What the name of the object begins with that says which log's objects a trail's are.
const OWNER: &str = "traild-owner-";

/// Batches as objects.
#[derive(Debug)]
pub struct ObjectSink {
    store: Box<dyn ObjectStore>,
    format: Arc<dyn Format>,
    log: String,
    hands: Hands,
}

impl ObjectSink {
    /// Puts what a format makes into a store.
    #[must_use]
    pub fn new(store: Box<dyn ObjectStore>, format: Box<dyn Format>, order: &Order<'_>) -> ObjectSink {
        ObjectSink { store, format: format.into(), log: order.log.to_owned(), hands: order.hands.clone() }
    }

    /// Says at the place whose objects the trail's are; whether that was said before.
    async fn claim(&self, trail: &str) -> Result<bool, Fault> {
        let key = format!("{OWNER}{trail}.json");
        if let Some(bytes) = self.store.get(&key).await? {
            let owner: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            if owner.get("log").and_then(Value::as_str) == Some(self.log.as_str()) {
                return Ok(true);
            }
            let place = self.store.place();
            return Err(Fault::setup(format!(
                "another log delivers a trail `{trail}` to {place}: give this one another name or prefix, or remove {key} there if that log is gone"
            )));
        }
        let bytes = Bytes::from(json!({ "log": self.log, "trail": trail }).to_string());
        self.store.put(&Object { key, bytes, content_type: "application/json", metadata: Vec::new() }).await?;
        Ok(false)
    }

    /// How far this log got before. Objects that nobody claims only give their numbers: nothing is passed over because of them.
    async fn marked(&self, trail: &str) -> Result<Option<Mark>, Fault> {
        let ours = self.claim(trail).await?;
        let keys = self.store.list(&self.format.folder(trail)).await?;
        let mark = keys.iter().filter_map(|key| self.format.mark(key)).max_by_key(|mark| mark.number);
        Ok(mark.map(|mark| if ours { mark } else { Mark { last: Sequence::ZERO, ..mark } }))
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
        Box::pin(self.marked(trail))
    }
}
