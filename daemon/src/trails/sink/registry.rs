//! [`SINKS`]: the kinds of sinks that there are. A new one is a file of its own and a row here.

use crate::trails::sink::elasticsearch;
use crate::trails::sink::file;
use crate::trails::sink::kafka;
use crate::trails::sink::kind::SinkKind;
use crate::trails::sink::nats;
use crate::trails::sink::otlp;
use crate::trails::sink::sls;
use crate::trails::sink::syslog;
use crate::trails::sink::webhook;
#[cfg(feature = "object-stores")]
use crate::trails::sink::{azblob, gcs, oss, s3};

/// Every kind, in the order of the documentation.
pub const SINKS: &[&SinkKind] = &[
    &file::KIND,
    #[cfg(feature = "object-stores")]
    &s3::KIND,
    #[cfg(feature = "object-stores")]
    &oss::KIND,
    #[cfg(feature = "object-stores")]
    &gcs::KIND,
    #[cfg(feature = "object-stores")]
    &azblob::KIND,
    &webhook::KIND,
    &elasticsearch::KIND,
    &sls::sink::KIND,
    &otlp::KIND,
    &syslog::KIND,
    &nats::sink::KIND,
    &kafka::sink::KIND,
];

/// The kind of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static SinkKind> {
    SINKS.iter().copied().find(|kind| kind.name == name)
}

/// The kind whose stores have URLs of this scheme.
#[must_use]
pub fn by_scheme(scheme: &str) -> Option<&'static SinkKind> {
    SINKS.iter().copied().find(|kind| kind.by_url.as_ref().is_some_and(|url| url.scheme == scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_member_is_named_once_and_described() {
        for kind in SINKS {
            assert_eq!(named(kind.name).map(|found| found.doc), Some(kind.doc));
            if let Some(url) = &kind.by_url {
                assert_eq!(by_scheme(url.scheme).map(|found| found.name), Some(kind.name));
                let named = |name: &str| kind.members.iter().any(|member| member.name == name);
                assert!(named(url.bucket) && url.environment.iter().all(|(member, _)| named(member)), "{}", kind.name);
            }
            assert!(!kind.doc.is_empty() && kind.batch.events > 0 && kind.batch.bytes > 0, "{}", kind.name);
            for member in kind.members {
                assert!(!matches!(member.name, "type" | "batch") && !member.doc.is_empty(), "{}.{}", kind.name, member.name);
                assert_eq!(kind.members.iter().filter(|other| other.name == member.name).count(), 1, "{}.{}", kind.name, member.name);
            }
        }
    }
}
