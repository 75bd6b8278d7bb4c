//! [`ObjectSink`]: a format over a store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use trail_engine::clock::{Clock, SystemClock};
use trail_engine::id::{Day, Sequence, Timestamp};

use crate::backend::Hands;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::format::{Format, Named};
use crate::trails::sink::object::formats;
use crate::trails::sink::object::owner::{Note, Owner};
use crate::trails::sink::object::probe::probe;
use crate::trails::sink::object::segments::{FORMAT as SEGMENTS, SegmentSink};
use crate::trails::sink::object::store::{Object, ObjectStore};
use crate::trails::sink::seam::{Delivered, Mark, Origin, Sink, Work};

/// The sink that puts into a store what a definition asks for.
///
/// # Errors
/// A sentence about the format.
pub fn into_store(order: &Order<'_>, store: Box<dyn ObjectStore>) -> Result<Box<dyn Sink>, String> {
    if formats::named(&order.members) == SEGMENTS {
        return Ok(Box::new(SegmentSink::new(order, store)));
    }
    Ok(Box::new(ObjectSink::new(store, formats::of(order)?, order)))
}

/// Batches as objects.
#[derive(Debug)]
pub struct ObjectSink {
    store: Box<dyn ObjectStore>,
    format: Arc<dyn Format>,
    log: String,
    /// The SHA-256 of what is delivered, and from where.
    purpose: String,
    hands: Hands,
    /// What the last claim of the place found there before.
    before: Mutex<Option<u64>>,
}

impl ObjectSink {
    /// Puts what a format makes into a store.
    #[must_use]
    pub fn new(store: Box<dyn ObjectStore>, format: Box<dyn Format>, order: &Order<'_>) -> ObjectSink {
        let purpose = Sha256::digest(order.purpose).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        ObjectSink {
            store,
            format: format.into(),
            log: order.log.to_owned(),
            purpose,
            hands: order.hands.clone(),
            before: Mutex::default(),
        }
    }

    /// How far this log got before; of a trail that knows of a batch of a day, only what is from then on is looked at. Objects from before it began to deliver this only give their numbers: nothing is passed over
    /// because of them. The same again, however often it is asked.
    async fn marked(&self, trail: &str, since: Option<Day>) -> Result<Option<Mark>, Fault> {
        let after = since.and_then(|day| self.format.since(trail, day)).unwrap_or_default();
        let keys = match self.format.folder(trail) {
            Some(folder) => self.store.list(&folder, &after).await?,
            None => Vec::new(),
        };
        let last = keys.iter().filter_map(|key| Some((key, self.format.mark(key)?))).max_by_key(|(_, named)| named.number);
        let claim = self.owner(trail).claim(&*self.store, last.map_or(0, |(_, named)| named.number)).await?;
        *self.before.lock().await = Some(claim.before);
        let mark = match (last, claim.note.filter(|note| self.format.makes(&note.key))) {
            (None, Some(note)) if self.has(&note.key).await? => note.mark,
            (None, _) => return Ok(None),
            (Some((_, named)), Some(note)) if note.mark.number == named.number => note.mark,
            // Nothing is noted, or nobody came to note the last.
            (Some((key, Named { number, first, last })), _) => {
                let origin = match first {
                    Some(first) => self.store.origin(key).await?.map(|hash| Origin { first, hash }),
                    None => None,
                };
                Mark { number, last, origin }
            }
        };
        let is_before = mark.number <= claim.before;
        Ok(Some(if is_before { Mark { last: Sequence::ZERO, origin: None, ..mark } } else { mark }))
    }

    fn owner<'a>(&'a self, trail: &'a str) -> Owner<'a> {
        Owner { log: &self.log, trail, purpose: &self.purpose }
    }

    /// Whether an object is there. One that was taken away is delivered again where that is asked for, whatever is noted of it.
    async fn has(&self, key: &str) -> Result<bool, Fault> {
        let Some((folder, _)) = key.rsplit_once('/') else { return Ok(false) };
        let mut just_before = key.to_owned();
        just_before.pop();
        Ok(self.store.list(&format!("{folder}/"), &just_before).await?.iter().any(|found| found == key))
    }

    /// Notes how far it got, where nothing else says it.
    async fn note(&self, batch: &Batch, objects: &[Object]) -> Result<(), Fault> {
        let (before, last) = (*self.before.lock().await, objects.last());
        let (Some(before), Some(object)) = (before, last) else { return Ok(()) };
        if self.store.keeps_origins() && self.format.names_ranges() {
            return Ok(());
        }
        let origin = object.origin().map(|hash| Origin { first: batch.first, hash: hash.to_owned() });
        let mark = Mark { number: batch.number, last: batch.last, origin };
        self.owner(&batch.trail).note(&*self.store, before, &Note { mark, key: object.key.clone() }).await
    }

    async fn put_due(&self, now: Timestamp) -> Result<Delivered, Fault> {
        let format = self.format.clone();
        let due = self.hands.compute.run(move || Ok(format.due(now))).await;
        let objects = due.map_err(|e| Fault::later(format!("what is due cannot be made now: {e}")))??;
        if objects.is_empty() { Ok(Delivered::default()) } else { self.put_all(&objects).await }
    }

    async fn put_all(&self, objects: &[Object]) -> Result<Delivered, Fault> {
        let mut delivered = Delivered::default();
        for object in objects {
            self.store.put(object).await?;
            delivered.objects += 1;
            delivered.bytes += object.bytes.len() as u64;
        }
        delivered.state = self.format.arrived(objects, SystemClock::new().now());
        Ok(delivered)
    }
}

/// The objects of a batch. An encoder that breaks down over its bytes does so every time: the batch is refused, so that halving finds the events
/// that it cannot take, and the others arrive.
fn encoded(format: &dyn Format, batch: &Batch) -> Result<Vec<Object>, Fault> {
    // A format keeps nothing while it encodes that a panic could leave half done.
    catch_unwind(AssertUnwindSafe(|| format.encode(batch))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Fault::refused(format!("the encoder broke down over it, which is a bug of traild: {}", text.unwrap_or_default())))
    })
}

impl Sink for ObjectSink {
    fn names_batches(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            // What is due speaks of what is there already, and so goes first.
            let due = self.put_due(SystemClock::new().now()).await?;
            let (format, copy) = (self.format.clone(), batch.clone());
            let encoded = self.hands.compute.run(move || Ok(encoded(&*format, &copy))).await;
            let objects = encoded.map_err(|e| Fault::later(format!("a batch cannot be encoded now: {e}")))??;
            let delivered = self.put_all(&objects).await?;
            self.note(batch, &objects).await?;
            let state = delivered.state.or(due.state);
            Ok(Delivered { objects: delivered.objects + due.objects, bytes: delivered.bytes + due.bytes, state, ..delivered })
        })
    }

    fn upkeep(&self, now: Timestamp) -> Work<'_, Delivered> {
        Box::pin(self.put_due(now))
    }

    fn probe(&self) -> Work<'_, ()> {
        Box::pin(probe(&*self.store))
    }

    fn mark<'a>(&'a self, trail: &'a str, since: Option<Day>) -> Work<'a, Option<Mark>> {
        Box::pin(self.marked(trail, since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trails::sink::fault::FaultKind;
    use crate::trails::sink::object::sample::batch;

    /// Breaks down over some events.
    #[derive(Debug)]
    struct Brittle;

    impl Format for Brittle {
        fn encode(&self, batch: &Batch) -> Result<Vec<Object>, Fault> {
            assert!(batch.events.iter().all(|event| event.text != b"{\"n\":3}"), "a value that nobody thought of");
            Ok(vec![Object::of_batch(batch, "key".into(), Vec::new(), "text/plain")])
        }

        fn folder(&self, _trail: &str) -> Option<String> {
            None
        }

        fn mark(&self, _key: &str) -> Option<Named> {
            None
        }
    }

    #[test]
    fn what_an_encoder_breaks_down_over_is_refused_and_not_tried_for_ever() {
        let fault = encoded(&Brittle, &batch("all", &["{}", "{\"n\":3}"])).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused);
        assert!(fault.message.contains("a value that nobody thought of"), "{fault}");
        assert_eq!(encoded(&Brittle, &batch("all", &["{}"])).unwrap().len(), 1);
    }
}
