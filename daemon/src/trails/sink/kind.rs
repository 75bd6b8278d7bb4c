//! [`SinkKind`]: one kind of sink, as the file of the kind describes it, [`Order`], what one is made of, and [`ByUrl`], how a store is named by a URL.

use serde_json::Value;
use trail_engine::event::DimensionSchema;

use crate::backend::Hands;
use crate::trails::keeping::keyring::Keyring;
use crate::trails::setting::members::{Member, Members};
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::object::store::ObjectStore;
use crate::trails::sink::seam::Sink;

/// What a sink is made of.
#[derive(Debug)]
pub struct Order<'a> {
    /// The name of the trail.
    pub trail: &'a str,
    /// The identity of the log that delivers.
    pub log: &'a str,
    /// What it delivers, and from where: its filter and start, or the range of a backfill.
    pub purpose: &'a str,
    /// The members of its definition, checked against those of its kind.
    pub members: Members<'a>,
    /// What it kept with its position, when it was made before.
    pub state: Option<&'a Value>,
    /// The number of a batch that was begun before a crash and comes again first, if there is one.
    pub begun: Option<u64>,
    /// What is indexed of events.
    pub schema: &'a DimensionSchema,
    /// The keys that sign digests.
    pub keyring: &'a Keyring,
    /// The threads that it may use.
    pub hands: &'a Hands,
}

/// One kind of sink.
#[derive(Debug)]
pub struct SinkKind {
    /// Its name, as `type` says it.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// The members that it has beside `type` and `batch`.
    pub members: &'static [Member],
    /// How it is batched when the definition does not say.
    pub batch: BatchLimits,
    /// Whether a trail for these members delivers whole segments, so that it can have no filter.
    pub whole_segments: fn(&Members<'_>) -> bool,
    /// Makes it. Opens nothing: a sink that cannot be reached is made all the same.
    pub make: fn(&Order<'_>) -> Result<Box<dyn Sink>, String>,
    /// How its store is named by a URL, where it has one.
    pub by_url: Option<ByUrl>,
}

/// How a store is named by a URL, `SCHEME://BUCKET/PREFIX`, for who reads back from it what trails put there.
#[derive(Debug)]
pub struct ByUrl {
    /// What the URL begins with.
    pub scheme: &'static str,
    /// The member that has the name of the bucket.
    pub bucket: &'static str,
    /// Where members come from that are not said otherwise: names of variables that other programs take for the same.
    pub environment: &'static [(&'static str, Variable)],
    /// The store of members that were checked against those of the kind.
    pub store: MakeStore,
}

/// Makes a store, or says what member is wrong.
pub type MakeStore = fn(&Members<'_>, &Hands) -> Result<Box<dyn ObjectStore>, String>;

/// A variable of the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// It has the value.
    Value(&'static str),
    /// It has the path of the file with the value.
    File(&'static str),
}
