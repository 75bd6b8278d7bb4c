//! `oss`: a bucket of Alibaba Cloud's OSS, by its endpoint that speaks S3.
//!
//! OSS's own signature that client libraries know best, version 1, is no longer taken for new accounts and new buckets; its S3
//! endpoint takes signatures of version 4, and the bucket in the host only. A public endpoint (`oss-cn-hangzhou.aliyuncs.com`) is also known by its S3 name
//! (`s3.oss-cn-hangzhou.aliyuncs.com`): either may be written.

use std::time::Duration;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::BatchLimits;
use crate::trails::sink::http::members::CA_FILE;
use crate::trails::sink::kind::{ByUrl, Order, SinkKind, Variable};
use crate::trails::sink::object::formats::{self, COUNT};
use crate::trails::sink::object::remote::opening;
use crate::trails::sink::object::segments::FORMAT as SEGMENTS;
use crate::trails::sink::object::sink::into_store;
use crate::trails::sink::object::store::ObjectStore;
use crate::trails::sink::s3;
use crate::trails::sink::seam::Sink;

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "oss",
    doc: "objects in a bucket of Alibaba Cloud OSS",
    members: &MEMBERS,
    batch: BatchLimits { events: 50_000, bytes: 64 << 20, delay: Duration::from_secs(60) },
    whole_segments: |members| formats::named(members) == SEGMENTS,
    make,
    by_url: Some(ByUrl {
        scheme: "oss",
        bucket: "bucket",
        environment: &[
            ("access_key_id", Variable::Value("OSS_ACCESS_KEY_ID")),
            ("secret_access_key", Variable::Value("OSS_ACCESS_KEY_SECRET")),
            ("session_token", Variable::Value("OSS_SESSION_TOKEN")),
            ("region", Variable::Value("OSS_REGION")),
        ],
        store,
    }),
};

const MEMBERS: [Member; 10 + COUNT] = formats::beside([
    Member::new("bucket", Form::Text, "the bucket; it must exist").required(),
    Member::new("prefix", Form::Text, "what all names begin with"),
    Member::new("endpoint", Form::Text, "the URL of the region; default https://s3.oss-REGION.aliyuncs.com"),
    Member::new("region", Form::Text, "the bucket's region, such as cn-hangzhou").required(),
    Member::new("access_key_id", Form::Secret, "the id of the key").required(),
    Member::new("secret_access_key", Form::Secret, "the key").required(),
    Member::new("session_token", Form::Secret, "the token of a key that is lent"),
    Member::new("path_style", Form::Flag, "whether the bucket stands in the path: for servers that stand in for OSS; default false"),
    CA_FILE,
    opening::TIMEOUT,
]);

/// The endpoint that speaks S3, of a region's own one.
fn speaking_s3(endpoint: &str) -> String {
    match endpoint.split_once("://oss-") {
        Some((scheme, rest)) if rest.ends_with(".aliyuncs.com") => format!("{scheme}://s3.oss-{rest}"),
        _ => endpoint.to_owned(),
    }
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    into_store(order, store(&order.members, order.hands)?)
}

fn store(members: &Members<'_>, hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
    let region = members.text("region").unwrap_or_default();
    let endpoint = opening::endpoint(members)?;
    let endpoint = endpoint.map_or_else(|| format!("https://s3.oss-{}.aliyuncs.com", region.trim_start_matches("oss-")), speaking_s3);
    s3::bucket_at(members, hands, "oss", &endpoint, members.stated("path_style").unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_name_of_an_endpoint_may_be_written() {
        let s3 = "https://s3.oss-cn-hangzhou.aliyuncs.com";
        assert_eq!(speaking_s3("https://oss-cn-hangzhou.aliyuncs.com"), s3);
        assert_eq!(speaking_s3(s3), s3);
        assert_eq!(speaking_s3("http://127.0.0.1:9000"), "http://127.0.0.1:9000");
    }
}
