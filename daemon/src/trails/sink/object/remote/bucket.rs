//! [`Bucket`]: objects of a bucket or container.
//!
//! Problem: an answer that was lost must not make a second object, what another program wrote must not be overwritten, and what is there must
//! be what was sent. Mechanism: every object carries the SHA-256 of its bytes as metadata; after a put its length and metadata are read back. Objects
//! of batches are put only where nothing is (create-only), where the store honours that, which is tried once: some take the condition and overwrite
//! all the same. Where something is already, it counts as delivered when it has the same SHA-256 and length, is replaced when it
//! came from the same log, and else is somebody else's. Small objects go with an MD5 that the store checks; large ones in parts of 8 MiB.
//! Limits: the parts of a large object are checked by their number of bytes alone on the way; parts of an upload that broke off stay until the
//! store's own rule for them removes them.

use bytes::Bytes;
use opendal::options::{ListOptions, WriteOptions};
use opendal::{EntryMode, ErrorKind, Metadata, Operator};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::backend::Hands;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::remote::blame::{Words, fault};
use crate::trails::sink::object::store::{ORIGIN, Object, ObjectStore};
use crate::trails::sink::seam::Work;

/// Objects of this size and more are put in parts.
const LARGE: usize = 16 << 20;
/// The size of a part.
const PART: usize = 8 << 20;
/// How many parts are under way at a time.
const PARTS_AT_ONCE: usize = 4;
/// The name of the metadata with the SHA-256.
const SUM: &str = "sha256";
/// What is put several times to find out whether create-only is honoured.
const PROBE: &str = "traild-probe-create";
/// How often it is put: two would do, if nobody else did the same.
const PROBES: usize = 4;

/// A bucket, or the part of it under a prefix.
#[derive(Debug)]
pub struct Bucket {
    operator: Operator,
    /// For objects in parts: without the sum that can only be sent with a whole.
    large: Operator,
    words: Words,
    hands: Hands,
    create_only: OnceCell<bool>,
}

impl Bucket {
    /// What two operators for the same place reach: one for small objects, one for large.
    #[must_use]
    pub fn new(operator: Operator, large: Operator, words: Words, hands: &Hands) -> Bucket {
        Bucket { operator, large, words, hands: hands.clone(), create_only: OnceCell::new() }
    }

    fn fault(&self, error: &opendal::Error, doing: &str) -> Fault {
        fault(error, doing, &self.words)
    }

    async fn placed(&self, object: &Object) -> Result<(), Fault> {
        let bytes = object.bytes.clone();
        let sum = self.hands.compute.run(move || Ok(hex(&Sha256::digest(&bytes)))).await;
        let sum = sum.map_err(|e| Fault::later(format!("an object cannot be summed now: {e}")))?;
        let metadata = object.metadata.iter().cloned().chain([(SUM.to_owned(), sum.clone())]).collect();
        let mut options =
            WriteOptions { content_type: Some(object.content_type.to_owned()), user_metadata: Some(metadata), ..WriteOptions::default() };
        options.if_not_exists = object.origin().is_some() && self.is_create_only().await?;
        let written = self.write(&object.key, object.bytes.clone(), options.clone()).await;
        match written {
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => {
                if self.is_there(object, &sum).await? {
                    return Ok(());
                }
                options.if_not_exists = false;
                let again = self.write(&object.key, object.bytes.clone(), options).await;
                again.map_err(|e| self.fault(&e, "replace an object in"))?;
            }
            written => written.map_err(|e| self.fault(&e, "put an object into"))?,
        }
        self.check(object, &sum).await
    }

    async fn write(&self, key: &str, bytes: Bytes, mut options: WriteOptions) -> opendal::Result<()> {
        if bytes.len() < LARGE {
            return self.operator.write_options(key, bytes, options).await.map(|_| ());
        }
        (options.chunk, options.concurrent) = (Some(PART), PARTS_AT_ONCE);
        let mut writer = self.large.writer_options(key, options).await?;
        let written = match writer.write(bytes).await {
            Ok(()) => writer.close().await.map(|_| ()),
            Err(e) => Err(e),
        };
        if written.is_err() {
            // What broke off is left to the store when it cannot be taken back either.
            let _ = writer.abort().await;
        }
        written
    }

    /// Whether what is there under the name of an object is the same; an error when it is somebody else's.
    async fn is_there(&self, object: &Object, sum: &str) -> Result<bool, Fault> {
        let found = self.operator.stat(&object.key).await.map_err(|e| self.fault(&e, "look at an object in"))?;
        if self.is_same(&found, object, sum).await? {
            return Ok(true);
        }
        let origin = found.user_metadata().and_then(|metadata| metadata.get(ORIGIN));
        if origin.is_some_and(|origin| Some(origin) == object.origin()) {
            return Ok(false);
        }
        Err(Fault::setup(format!(
            "{} in {} was not written by this trail; give the trail a `prefix` of its own, or move that object away",
            object.key, self.words.place
        )))
    }

    /// Whether an object has the length and the sum of another; where the store keeps no metadata, its bytes are read.
    async fn is_same(&self, found: &Metadata, object: &Object, sum: &str) -> Result<bool, Fault> {
        if found.content_length() != object.bytes.len() as u64 {
            return Ok(false);
        }
        match found.user_metadata().and_then(|metadata| metadata.get(SUM)) {
            Some(kept) => Ok(kept == sum),
            None => Ok(self.read(&object.key).await?.as_ref() == Some(&object.bytes)),
        }
    }

    async fn check(&self, object: &Object, sum: &str) -> Result<(), Fault> {
        let found = self.operator.stat(&object.key).await.map_err(|e| self.fault(&e, "look at an object in"))?;
        if self.is_same(&found, object, sum).await? {
            return Ok(());
        }
        Err(Fault::later(format!("{} came into {} other than it was sent", object.key, self.words.place)))
    }

    /// Whether the store refuses a create-only put where something is already.
    async fn is_create_only(&self) -> Result<bool, Fault> {
        self.create_only.get_or_try_init(|| self.try_create_only()).await.copied()
    }

    async fn try_create_only(&self) -> Result<bool, Fault> {
        let options = WriteOptions { if_not_exists: true, ..WriteOptions::default() };
        let mut honoured = false;
        // Whoever else tries the same at this moment removes the object in between: once is no proof that the condition does not hold.
        for _ in 0..PROBES {
            match self.operator.write_options(PROBE, Bytes::from_static(b"probe\n"), options.clone()).await {
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => {
                    honoured = true;
                    break;
                }
                // The store knows no such condition.
                Err(e) if is_unknown(&e) => break,
                Err(e) => return Err(self.fault(&e, "put an object into")),
            }
        }
        // A key that may not remove leaves the probe, which says the same the next time.
        let _ = self.operator.delete(PROBE).await;
        if !honoured {
            tracing::warn!(place = self.words.place, "the store does not honour create-only puts: a repeat overwrites the object");
        }
        Ok(honoured)
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        match self.operator.read(key).await {
            Ok(bytes) => Ok(Some(bytes.to_bytes())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.fault(&e, "get an object from")),
        }
    }

    async fn names(&self, folder: &str) -> Result<Vec<String>, Fault> {
        let options = ListOptions { recursive: true, ..ListOptions::default() };
        let entries = match self.operator.list_options(folder, options).await {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| self.fault(&e, "list the objects of"))?,
        };
        let objects = entries.iter().filter(|entry| entry.metadata().mode() == EntryMode::FILE);
        let mut names: Vec<String> = objects.map(|entry| entry.path().to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// Whether a store says that it knows no such condition.
fn is_unknown(error: &opendal::Error) -> bool {
    error.kind() == ErrorKind::Unsupported || error.message().contains("NotImplemented")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

impl ObjectStore for Bucket {
    fn place(&self) -> &str {
        &self.words.place
    }

    fn put<'a>(&'a self, object: &'a Object) -> Work<'a, ()> {
        Box::pin(self.placed(object))
    }

    fn get<'a>(&'a self, key: &'a str) -> Work<'a, Option<Bytes>> {
        Box::pin(self.read(key))
    }

    fn list<'a>(&'a self, folder: &'a str) -> Work<'a, Vec<String>> {
        Box::pin(self.names(folder))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Work<'a, ()> {
        Box::pin(async move { self.operator.delete(key).await.map_err(|e| self.fault(&e, "remove an object from")) })
    }
}
