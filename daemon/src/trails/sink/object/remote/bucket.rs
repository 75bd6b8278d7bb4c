//! [`Bucket`]: objects of a bucket or container.
//!
//! Problem: an answer that was lost must not make a second object, what another program wrote must not be overwritten, and what is there must
//! be what was sent. Mechanism: every object carries the SHA-256 of its bytes as metadata; after a put its length and metadata are looked at, and the store must
//! have proven that it has the bytes ([`Proof`]), or they are read back. Objects
//! of batches are put only where nothing is (create-only), where the store honours that, which is tried once: some take the condition and overwrite
//! all the same. Where something is already, it counts as delivered when it is proven in the same way, is replaced when it
//! came from the same log, and else is somebody else's. Small objects go whole, large ones in parts of 8 MiB.
//! Limits: parts of an upload that broke off stay until the store's own rule for them removes them.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::Md5;
use opendal::options::{ListOptions, WriteOptions};
use opendal::{EntryMode, ErrorKind, Metadata};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::backend::Hands;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::remote::blame::fault;
use crate::trails::sink::object::remote::ways::{Proof, Ways};
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

/// A bucket, or the part of it under a prefix.
#[derive(Debug)]
pub struct Bucket {
    pub(super) ways: Ways,
    hands: Hands,
    /// What it was tried for.
    pub(super) create_only: OnceCell<bool>,
    pub(super) refuses_altered: OnceCell<bool>,
}

impl Bucket {
    /// What is reached by these ways.
    #[must_use]
    pub fn new(ways: Ways, hands: &Hands) -> Bucket {
        Bucket { ways, hands: hands.clone(), create_only: OnceCell::new(), refuses_altered: OnceCell::new() }
    }

    pub(super) fn fault(&self, error: &opendal::Error, doing: &str) -> Fault {
        fault(error, doing, &self.ways.words).after(self.ways.asked.take())
    }

    /// A sum of bytes, on a thread that may compute.
    async fn sum(&self, bytes: &Bytes, sum: fn(&[u8]) -> String) -> Result<String, Fault> {
        let bytes = bytes.clone();
        let sum = self.hands.compute.run(move || Ok(sum(&bytes))).await;
        sum.map_err(|e| Fault::later(format!("an object cannot be summed now: {e}")))
    }

    async fn placed(&self, object: &Object) -> Result<(), Fault> {
        let sum = self.sum(&object.bytes, |bytes| hex(&Sha256::digest(bytes))).await?;
        let metadata = object.metadata.iter().cloned().chain([(SUM.to_owned(), sum.clone())]).collect();
        let mut options =
            WriteOptions { content_type: Some(object.content_type.to_owned()), user_metadata: Some(metadata), ..WriteOptions::default() };
        options.if_not_exists = object.origin().is_some() && self.is_create_only().await?;
        match self.write(&object.key, object.bytes.clone(), options.clone()).await {
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => {
                let found = self.look(&object.key).await?;
                if self.is_whole(&found, object, &sum).await? {
                    return Ok(());
                }
                self.may_replace(&found, object)?;
                options.if_not_exists = false;
                if self.ways.operator.info().capability().write_with_if_version_match {
                    options.if_version_match = found.version().map(ToOwned::to_owned);
                }
                let again = self.write(&object.key, object.bytes.clone(), options).await;
                again.map_err(|e| self.fault(&e, "replace an object in"))?;
            }
            written => written.map_err(|e| self.fault(&e, "put an object into"))?,
        }
        if self.is_whole(&self.look(&object.key).await?, object, &sum).await? {
            return Ok(());
        }
        Err(Fault::later(format!("{} came into {} other than it was sent", object.key, self.ways.words.place)))
    }

    async fn write(&self, key: &str, bytes: Bytes, mut options: WriteOptions) -> opendal::Result<()> {
        if bytes.len() < LARGE {
            return self.ways.operator.write_options(key, bytes, options).await.map(|_| ());
        }
        (options.chunk, options.concurrent) = (Some(PART), PARTS_AT_ONCE);
        let mut writer = self.ways.operator.writer_options(key, options).await?;
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

    async fn look(&self, key: &str) -> Result<Metadata, Fault> {
        self.ways.operator.stat(key).await.map_err(|e| self.fault(&e, "look at an object in"))
    }

    /// Nothing, when what is there came from the same log; an error when it is somebody else's.
    fn may_replace(&self, found: &Metadata, object: &Object) -> Result<(), Fault> {
        let origin = found.user_metadata().and_then(|metadata| metadata.get(ORIGIN));
        if origin.is_some_and(|origin| Some(origin) == object.origin()) {
            return Ok(());
        }
        Err(Fault::setup(format!(
            "{} in {} was not written by this trail; give the trail a `prefix` of its own, or move that object away",
            object.key, self.ways.words.place
        )))
    }

    /// Whether what is there are the bytes of an object, and not only what says so.
    async fn is_whole(&self, found: &Metadata, object: &Object, sum: &str) -> Result<bool, Fault> {
        let said = found.user_metadata().and_then(|metadata| metadata.get(SUM));
        if found.content_length() != object.bytes.len() as u64 || said.is_some_and(|said| said != sum) {
            return Ok(false);
        }
        match &self.ways.proof {
            Proof::Refuses(altering) if said.is_some() && self.refuses_altered(altering).await? => return Ok(true),
            Proof::Refuses(_) => {}
            Proof::Says => {
                if let Some(md5) = found.content_md5().filter(|md5| !md5.is_empty()) {
                    return Ok(md5 == self.sum(&object.bytes, |bytes| STANDARD.encode(Md5::digest(bytes))).await?);
                }
            }
        }
        self.comes_back(object).await
    }

    /// Whether the bytes of an object can be read back, piece by piece.
    async fn comes_back(&self, object: &Object) -> Result<bool, Fault> {
        let mut at = 0;
        for piece in object.bytes.chunks(PART) {
            let range = at..at + piece.len() as u64;
            at = range.end;
            if self.read_range(&object.key, range).await?.as_deref() != Some(piece) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn read_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, Fault> {
        self.present(self.ways.operator.read_with(key).range(range).await)
    }

    fn present(&self, read: opendal::Result<opendal::Buffer>) -> Result<Option<Bytes>, Fault> {
        match read {
            Ok(bytes) => Ok(Some(bytes.to_bytes())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.fault(&e, "get an object from")),
        }
    }

    async fn names(&self, folder: &str, after: &str) -> Result<Vec<String>, Fault> {
        let operator = &self.ways.operator;
        let start_after = Some(after.to_owned()).filter(|after| !after.is_empty() && operator.info().capability().list_with_start_after);
        let options = ListOptions { recursive: true, start_after, ..ListOptions::default() };
        let entries = match operator.list_options(folder, options).await {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| self.fault(&e, "list the objects of"))?,
        };
        let objects = entries.iter().filter(|entry| entry.metadata().mode() == EntryMode::FILE && entry.path() > after);
        let mut names: Vec<String> = objects.map(|entry| entry.path().to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

impl ObjectStore for Bucket {
    fn place(&self) -> &str {
        &self.ways.words.place
    }

    fn put<'a>(&'a self, object: &'a Object) -> Work<'a, ()> {
        Box::pin(self.placed(object))
    }

    fn get<'a>(&'a self, key: &'a str) -> Work<'a, Option<Bytes>> {
        Box::pin(async move { self.present(self.ways.operator.read(key).await) })
    }

    fn keeps_origins(&self) -> bool {
        true
    }

    fn origin<'a>(&'a self, key: &'a str) -> Work<'a, Option<String>> {
        Box::pin(async move { Ok(self.look(key).await?.user_metadata().and_then(|metadata| metadata.get(ORIGIN)).map(ToOwned::to_owned)) })
    }

    fn list<'a>(&'a self, folder: &'a str, after: &'a str) -> Work<'a, Vec<String>> {
        Box::pin(self.names(folder, after))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Work<'a, ()> {
        Box::pin(async move { self.ways.operator.delete(key).await.map_err(|e| self.fault(&e, "remove an object from")) })
    }
}
