//! `s3`: a bucket of S3, or of what speaks it: MinIO, Ceph, R2 and others.
//!
//! With an `endpoint` the bucket stands in the path, as most servers of one's own want it; without, in the host, as AWS wants it. Keys come from
//! the definition alone: nothing is looked for in the environment, in files of other programs or at the address of a cloud's metadata.

use std::time::Duration;

use opendal::services::S3;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::http::members::CA_FILE;
use crate::trails::sink::kind::{ByUrl, Order, SinkKind, Variable};
use crate::trails::sink::object::formats::{self, COUNT};
use crate::trails::sink::object::remote::blame::Words;
use crate::trails::sink::object::remote::bucket::Bucket;
use crate::trails::sink::object::remote::opening::{TIMEOUT, bucket, endpoint, operator, place, prefix, transport};
use crate::trails::sink::object::remote::signing::Keys;
use crate::trails::sink::object::remote::ways::{Proof, Ways};
use crate::trails::sink::object::segments::FORMAT as SEGMENTS;
use crate::trails::sink::object::sink::into_store;
use crate::trails::sink::object::store::ObjectStore;
use crate::trails::sink::seam::Sink;

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "s3",
    doc: "objects in a bucket of S3 or of a server that speaks it",
    members: &MEMBERS,
    batch: BatchLimits { events: 50_000, bytes: 64 << 20, delay: Duration::from_secs(60) },
    whole_segments: |members| formats::named(members) == SEGMENTS,
    make,
    by_url: Some(ByUrl {
        scheme: "s3",
        bucket: "bucket",
        environment: &[
            ("access_key_id", Variable::Value("AWS_ACCESS_KEY_ID")),
            ("secret_access_key", Variable::Value("AWS_SECRET_ACCESS_KEY")),
            ("session_token", Variable::Value("AWS_SESSION_TOKEN")),
            ("region", Variable::Value("AWS_REGION")),
            ("endpoint", Variable::Value("AWS_ENDPOINT_URL_S3")),
        ],
        store,
    }),
};

const MEMBERS: [Member; 13 + COUNT] = formats::beside([
    Member::new("bucket", Form::Text, "the bucket; it must exist").required(),
    Member::new("prefix", Form::Text, "what all names begin with"),
    Member::new("endpoint", Form::Text, "the server's URL; default AWS"),
    Member::new("region", Form::Text, "the bucket's region; default us-east-1"),
    Member::new("access_key_id", Form::Secret, "the id of the key").required(),
    Member::new("secret_access_key", Form::Secret, "the key").required(),
    Member::new("session_token", Form::Secret, "the token of a key that is lent"),
    Member::new("path_style", Form::Flag, "whether the bucket stands in the path and not in the host; default true with an endpoint"),
    Member::new("storage_class", Form::Text, "the storage class of objects, such as STANDARD_IA"),
    Member::new("sse", Form::Choice(&["AES256", "aws:kms"]), "how the server encrypts objects"),
    Member::new("sse_kms_key_id", Form::Text, "the key with which it encrypts"),
    CA_FILE,
    TIMEOUT,
]);

/// The address of AWS's S3 in a region.
fn amazon(region: &str) -> String {
    format!("https://s3.{region}.amazonaws.com")
}

fn region<'a>(members: &Members<'a>) -> &'a str {
    members.text("region").unwrap_or("us-east-1")
}

fn keys(members: &Members<'_>) -> Result<Keys, String> {
    let secret = |name: &str| members.secret(name).map(Option::unwrap_or_default);
    Ok(Keys::new(&secret("access_key_id")?, &secret("secret_access_key")?, members.secret("session_token")?.as_deref(), region(members)))
}

/// Without keys: requests are signed where they go out.
fn builder(members: &Members<'_>, endpoint: &str, is_path_style: bool) -> Result<S3, String> {
    let mut s3 = S3::default()
        .bucket(bucket(members, "bucket")?)
        .root(prefix(members)?)
        .endpoint(endpoint)
        .region(region(members))
        .skip_signature()
        .disable_config_load()
        .disable_ec2_metadata();
    if let Some(class) = members.text("storage_class") {
        s3 = s3.default_storage_class(class);
    }
    s3 = match (members.text("sse"), members.text("sse_kms_key_id")) {
        (Some("AES256"), None) => s3.server_side_encryption_with_s3_key(),
        (Some(_), None) => s3.server_side_encryption_with_aws_managed_kms_key(),
        (Some("aws:kms"), Some(key)) => s3.server_side_encryption_with_customer_managed_kms_key(key),
        (None, None) => s3,
        _ => return Err("`sse_kms_key_id` needs `sse` to be aws:kms".into()),
    };
    Ok(if is_path_style { s3 } else { s3.enable_virtual_host_style() })
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    into_store(order, store(&order.members, order.hands)?)
}

fn store(members: &Members<'_>, hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
    let (endpoint, is_path_style) = address(members)?;
    bucket_at(members, hands, "s3", &endpoint, is_path_style)
}

/// A bucket at an endpoint that speaks S3, for this kind and for those that are the same but for the address.
///
/// # Errors
/// A sentence that names the member that is wrong.
pub fn bucket_at(
    members: &Members<'_>,
    hands: &Hands,
    scheme: &str,
    endpoint: &str,
    is_path_style: bool,
) -> Result<Box<dyn ObjectStore>, String> {
    let transport = transport(members, hands)?.signing(keys(members)?);
    let built = || builder(members, endpoint, is_path_style);
    let proof = Proof::Refuses(operator(built()?, transport.clone().altering())?);
    let operator = operator(built()?, transport.clone())?;
    let place = place(scheme, bucket(members, "bucket")?, prefix(members)?, endpoint);
    let words = Words { place, keys: "`access_key_id` and `secret_access_key`", bucket: "bucket" };
    Ok(Box::new(Bucket::new(Ways { operator, proof, asked: transport.asked().clone(), words }, hands)))
}

fn address(members: &Members<'_>) -> Result<(String, bool), String> {
    let given = endpoint(members)?;
    let is_path_style = members.stated("path_style").unwrap_or(given.is_some());
    let amazon = || amazon(region(members));
    Ok((given.map_or_else(amazon, ToOwned::to_owned), is_path_style))
}
