//! `gcs`: a bucket of Google Cloud Storage, by its JSON API.
//!
//! The key is that of a service account, as the file that Google gives out. Without one nothing is signed, which only servers that stand in for
//! Google take.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opendal::services::Gcs;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::http::members::CA_FILE;
use crate::trails::sink::kind::{ByUrl, Order, SinkKind, Variable};
use crate::trails::sink::object::formats::{self, COUNT};
use crate::trails::sink::object::remote::blame::Words;
use crate::trails::sink::object::remote::bucket::Bucket;
use crate::trails::sink::object::remote::opening::{TIMEOUT, bucket, endpoint, operator, place, prefix, transport};
use crate::trails::sink::object::remote::ways::{Proof, Ways};
use crate::trails::sink::object::segments::FORMAT as SEGMENTS;
use crate::trails::sink::object::sink::into_store;
use crate::trails::sink::object::store::ObjectStore;
use crate::trails::sink::seam::Sink;

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "gcs",
    doc: "objects in a bucket of Google Cloud Storage",
    members: &MEMBERS,
    batch: BatchLimits { events: 50_000, bytes: 64 << 20, delay: Duration::from_secs(60) },
    whole_segments: |members| formats::named(members) == SEGMENTS,
    make,
    by_url: Some(ByUrl {
        scheme: "gs",
        bucket: "bucket",
        environment: &[("credential", Variable::File("GOOGLE_APPLICATION_CREDENTIALS"))],
        store,
    }),
};

const GOOGLE: &str = "https://storage.googleapis.com";

const MEMBERS: [Member; 7 + COUNT] = formats::beside([
    Member::new("bucket", Form::Text, "the bucket; it must exist").required(),
    Member::new("prefix", Form::Text, "what all names begin with"),
    Member::new("endpoint", Form::Text, "the server's URL; default Google"),
    Member::new("credential", Form::Secret, "the JSON key of a service account; without it nothing is signed"),
    Member::new("storage_class", Form::Text, "the storage class of objects, such as NEARLINE"),
    CA_FILE,
    TIMEOUT,
]);

fn builder(members: &Members<'_>, endpoint: &str) -> Result<Gcs, String> {
    let mut gcs = Gcs::default()
        .bucket(bucket(members, "bucket")?)
        .root(prefix(members)?)
        .endpoint(endpoint)
        .disable_config_load()
        .disable_vm_metadata();
    gcs = match members.secret("credential")? {
        Some(key) => gcs.credential(&STANDARD.encode(key)),
        None => gcs.skip_signature(),
    };
    if let Some(class) = members.text("storage_class") {
        gcs = gcs.default_storage_class(class);
    }
    Ok(gcs)
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    into_store(order, store(&order.members, order.hands)?)
}

fn store(members: &Members<'_>, hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
    let endpoint = endpoint(members)?.unwrap_or(GOOGLE);
    let transport = transport(members, hands)?;
    let operator = operator(builder(members, endpoint)?, transport.clone())?;
    let place = place("gs", bucket(members, "bucket")?, prefix(members)?, endpoint);
    let words = Words { place, keys: "`credential`", bucket: "bucket" };
    let ways = Ways { operator, proof: Proof::Says, asked: transport.asked().clone(), words };
    Ok(Box::new(Bucket::new(ways, hands)))
}
