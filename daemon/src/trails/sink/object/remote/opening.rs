//! What every kind of bucket has: its name, a prefix, and the way from an opendal builder to an operator.

use std::time::Duration;

use opendal::{Builder, HttpTransporter, OperationContext, Operator};

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::object::remote::transport::Transport;

/// Patience. A request has 16 MiB at most.
pub const TIMEOUT: Member =
    Member::new("timeout_seconds", Form::Integer(1, 3_600), "how long to wait for an answer, and for each piece of one; default 120");
const TIMEOUT_SECONDS: u64 = 120;

/// The name of a bucket or container, which is part of host names or paths.
///
/// # Errors
/// A sentence when it can be none.
pub fn bucket<'a>(members: &Members<'a>, name: &str) -> Result<&'a str, String> {
    let bucket = members.text(name).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=255).contains(&bucket.len()) && bucket.bytes().all(plain) {
        Ok(bucket)
    } else {
        Err(format!("`{name}` must be the name of a bucket, without a path"))
    }
}

/// The prefix under which all objects are, without slashes around it.
///
/// # Errors
/// A sentence when it can be none.
pub fn prefix<'a>(members: &Members<'a>) -> Result<&'a str, String> {
    let prefix = members.text("prefix").unwrap_or_default().trim_matches('/');
    if prefix.split('/').any(|part| matches!(part, "." | "..")) || (prefix.contains("//")) || prefix.contains(char::is_control) {
        return Err("`prefix` must be a path without empty parts, `.` and `..`".into());
    }
    Ok(prefix)
}

/// The address of a store, without a slash at its end.
///
/// # Errors
/// A sentence when it is none.
pub fn endpoint<'a>(members: &Members<'a>) -> Result<Option<&'a str>, String> {
    let Some(endpoint) = members.text("endpoint").map(|endpoint| endpoint.trim_end_matches('/')) else { return Ok(None) };
    let address = Address::read("endpoint", endpoint)?;
    if address.query.is_some() || endpoint.contains('#') {
        return Err("`endpoint` must be a URL without `?` and `#`".into());
    }
    Ok(Some(endpoint))
}

/// What an operator is called in messages.
#[must_use]
pub fn place(scheme: &str, bucket: &str, prefix: &str, endpoint: &str) -> String {
    let path = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    format!("{scheme}://{bucket}{path} at {endpoint}")
}

/// This program's own HTTP, which believes whom the member `ca_file` says, for as long as `timeout_seconds` says.
///
/// # Errors
/// A sentence that names the member.
pub fn transport(members: &Members<'_>, hands: &Hands) -> Result<Transport, String> {
    let patience = Duration::from_secs(members.number(TIMEOUT.name).unwrap_or(TIMEOUT_SECONDS));
    Ok(Transport::new(Trust::new(members.text("ca_file"))?, patience, hands))
}

/// An operator over a transport.
///
/// # Errors
/// A sentence that names what of the setting is wrong.
pub fn operator(builder: impl Builder, transport: Transport) -> Result<Operator, String> {
    let context = OperationContext::default().with_http_transport(HttpTransporter::new(transport));
    Ok(Operator::new(builder).map_err(|e| e.message().to_owned())?.with_context(context))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use trail_engine::storage::FileStorage;

    use super::*;
    use crate::backend::{Hands, Schedule};
    use crate::config::Config;
    use crate::dialect::default_schema;
    use crate::trails::keeping::keyring::Keyring;
    use crate::trails::keeping::store::Store;
    use crate::trails::sink::fault::FaultKind;
    use crate::trails::sink::kind::Order;
    use crate::trails::sink::registry::named;
    use crate::trails::sink::seam::Sink;

    /// A sink of a kind, made as a trail makes it.
    fn made(kind: &str, members: &Value) -> Result<Box<dyn Sink>, String> {
        let kind = named(kind).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(Store::new(Arc::new(FileStorage::open(directory.path()).unwrap())));
        let (schema, hands) = (default_schema().unwrap(), Hands::new(&Schedule::of(&Config::default())));
        let members = Members::check(members.as_object().unwrap(), kind.members, &[])?;
        (kind.make)(&Order {
            trail: "t",
            log: "l",
            purpose: "p",
            members,
            state: None,
            begun: None,
            schema: &schema,
            keyring: &keyring,
            hands: &hands,
        })
    }

    fn definitions() -> [(&'static str, Value); 4] {
        let key = json!({"bucket": "audit", "prefix": "/a/b/", "access_key_id": "ak", "secret_access_key": "sk", "region": "eu-1"});
        let mut oss = key.clone();
        oss["path_style"] = json!(true);
        let azblob = json!({"container": "audit", "account_name": "me", "account_key": "c2VjcmV0"});
        [("s3", key), ("oss", oss), ("gcs", json!({"bucket": "audit"})), ("azblob", azblob)]
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_tried_again() {
        for (kind, mut members) in definitions() {
            members["endpoint"] = json!("http://127.0.0.1:1/");
            let fault = made(kind, &members).unwrap().probe().await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Later, "{kind}: {fault}");
            assert!(fault.message.contains("audit") && fault.message.contains("at http://127.0.0.1:1: "), "{kind}: {fault}");
            assert!(fault.message.contains("refused"), "{kind}: {fault}");
        }
    }

    #[test]
    fn what_cannot_be_set_up_is_named() {
        for (kind, members) in definitions() {
            let problem = |name: &str, value: Value| {
                let mut wrong = members.clone();
                wrong[name] = value;
                made(kind, &wrong).err()
            };
            assert_eq!(problem("format", json!("ndjson")), None, "{kind}");
            assert!(problem("endpoint", json!("127.0.0.1:9000")).unwrap().contains("`endpoint` must be a URL"), "{kind}");
            assert!(problem("endpoint", json!("http://169.254.169.254/")).unwrap().contains("`endpoint`"), "{kind}");
            assert!(problem("endpoint", json!("http://h/?a=b")).unwrap().contains("`endpoint`"), "{kind}");
            assert!(problem("ca_file", json!("/nowhere")).unwrap().contains("`ca_file`"), "{kind}");
            assert!(problem("prefix", json!("a/../b")).unwrap().contains("`prefix`"), "{kind}");
            let bucket = if kind == "azblob" { "container" } else { "bucket" };
            assert!(problem(bucket, json!("a/b")).unwrap().contains(bucket), "{kind}");
        }
        let digests = json!({"container": "c", "account_name": "me", "account_key": "c2VjcmV0", "format": "cloudtrail", "digests": true});
        assert!(made("azblob", &digests).unwrap_err().contains("`s3`, `oss` or `gcs`"));
    }
}
