//! [`ObjectStore`]: bytes under names.

use bytes::Bytes;

use crate::trails::sink::batch::Batch;
use crate::trails::sink::seam::{Work, origin_of};

/// The name of the metadata that says which log an object came from.
pub const ORIGIN: &str = "origin";

/// An object to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name, parts divided by `/`, without the prefix of the sink.
    pub key: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its media type.
    pub content_type: &'static str,
    /// What is kept with it, where the store can: names in lower case without the store's prefix.
    pub metadata: Vec<(String, String)>,
}

impl Object {
    /// An object with the events of a batch, named by the batch. Its origin is the hash of its first event, so that two logs that are
    /// delivered to one place by mistake are told apart, and a repeat is not taken for somebody else's.
    #[must_use]
    pub fn of_batch(batch: &Batch, key: String, bytes: Vec<u8>, content_type: &'static str) -> Object {
        let origin = batch.events.first().map(|event| origin_of(&event.text)).unwrap_or_default();
        let metadata = vec![("events".to_owned(), batch.events.len().to_string()), (ORIGIN.to_owned(), origin)];
        Object { key, bytes: bytes.into(), content_type, metadata }
    }

    /// Where it came from. An object without an origin takes the place of whatever has its name.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == ORIGIN).map(|(_, origin)| origin.as_str())
    }
}

/// A place that keeps bytes under names. A key never begins with `/` and has no part `..`.
pub trait ObjectStore: Send + Sync + std::fmt::Debug {
    /// Where it is, for people: a URL without secrets.
    fn place(&self) -> &str;

    /// Puts an object, in place of one of that name. When it returns, the object is as durable as the store makes it.
    ///
    /// # Errors
    /// When it is not sure that the object is there.
    fn put<'a>(&'a self, object: &'a Object) -> Work<'a, ()>;

    /// The same for an object that is followed at once by another in the same folder: only with that one it must be durable.
    ///
    /// # Errors
    /// As [`ObjectStore::put`].
    fn put_before<'a>(&'a self, object: &'a Object) -> Work<'a, ()> {
        self.put(object)
    }

    /// The bytes of an object; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn get<'a>(&'a self, key: &'a str) -> Work<'a, Option<Bytes>>;

    /// Whether it keeps where objects came from.
    fn keeps_origins(&self) -> bool {
        false
    }

    /// Where an object came from, by its metadata; `None` where the store keeps none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn origin<'a>(&'a self, _key: &'a str) -> Work<'a, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    /// The keys under a folder (which ends in `/`, or is empty) that sort behind `after`, at any depth, sorted.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn list<'a>(&'a self, folder: &'a str, after: &'a str) -> Work<'a, Vec<String>>;

    /// Removes an object; it is no error when there is none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn remove<'a>(&'a self, key: &'a str) -> Work<'a, ()>;
}
