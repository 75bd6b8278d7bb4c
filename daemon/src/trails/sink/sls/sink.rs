//! The sink: one signed POST a batch.
//!
//! A batch that is more than one request may carry is given back as too large, so that the worker halves it and each half is sent, and
//! repeated, alone. Limits: the service has no way to tell a repeat: an answer that was lost means the same logs twice.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::http::Method;
use hyper::http::header::HeaderMap;
use serde::Deserialize;
use trail_engine::clock::{Clock as _, SystemClock};
use trail_engine::id::Timestamp;

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::caller::{Answer, Call, Caller, put};
use crate::trails::sink::http::members::{CA_FILE, TIMEOUT, caller_of};
use crate::trails::sink::http::verdict::{clip, judge, retry_after};
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::seam::{Delivered, Sink, Work};
use crate::trails::sink::sls::group::{LOGS_MAX, Label, Packing, TOPIC};
use crate::trails::sink::sls::signature::{Signer, Version};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "sls",
    doc: "a logstore of Alibaba Cloud's Log Service",
    members: &[
        Member::new("endpoint", Form::Text, "of the region, such as cn-hangzhou.log.aliyuncs.com; with http:// for one without TLS")
            .required(),
        Member::new("project", Form::Text, "the project").required(),
        Member::new("logstore", Form::Text, "the logstore").required(),
        Member::new("access_key_id", Form::Secret, "the key's name").required(),
        Member::new("access_key_secret", Form::Secret, "the key").required(),
        Member::new("security_token", Form::Secret, "of temporary keys (STS)"),
        Member::new("signature", Form::Choice(&["v4", "v1"]), "how requests are signed; default `v4`"),
        Member::new("region", Form::Text, "such as cn-hangzhou; needed for `v4`"),
        Member::new("topic", Form::Text, "the topic of the logs; default `actiontrail_audit_event`"),
        Member::new("tags", Form::Texts, "tags of the log groups"),
        Member::new("compression", Form::Choice(&["lz4", "zstd", "none"]), "of requests; default `lz4`"),
        CA_FILE,
        TIMEOUT,
    ],
    batch: BatchLimits { events: LOGS_MAX, bytes: 4 << 20, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

#[derive(Debug)]
struct Sls {
    caller: Caller,
    host: String,
    path: String,
    signer: Signer,
    label: Label,
    packing: Packing,
    hands: Hands,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let members = &order.members;
    let (project, logstore) = (name(members, "project")?, name(members, "logstore")?);
    let (address, host) = place(members.text("endpoint").unwrap_or_default(), project)?;
    let packing = match members.text("compression") {
        Some("zstd") => Packing::Zstd,
        Some("none") => Packing::None,
        _ => Packing::Lz4,
    };
    let label = Label { topic: members.text("topic").unwrap_or(TOPIC).to_owned(), tags: members.texts("tags")? };
    Ok(Box::new(Sls {
        caller: caller_of(address, members, None)?,
        host,
        path: format!("/logstores/{logstore}/shards/lb"),
        signer: signer(members)?,
        label,
        packing,
        hands: order.hands.clone(),
    }))
}

fn name<'a>(members: &Members<'a>, member: &str) -> Result<&'a str, String> {
    let name = members.text(member).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if name.len() <= 128 && name.bytes().all(plain) { Ok(name) } else { Err(format!("`{member}` must be of a-z, 0-9, - and _")) }
}

fn signer(members: &Members<'_>) -> Result<Signer, String> {
    let version = match (members.text("signature"), members.text("region")) {
        (Some("v1"), _) => Version::V1,
        (_, Some(region)) => Version::V4(region.to_owned()),
        (_, None) => return Err("`region` is missing: the signature v4 is bound to it".into()),
    };
    let secret = |name| Ok::<_, String>(members.secret(name)?.unwrap_or_default());
    let token = members.secret("security_token")?;
    Ok(Signer { key_id: secret("access_key_id")?, secret: secret("access_key_secret")?, token, version })
}

/// Where to connect to, and what the header `host` says: `PROJECT.ENDPOINT`, without a port. An endpoint that is a number has no names
/// under it: it is called itself.
fn place(endpoint: &str, project: &str) -> Result<(Address, String), String> {
    let url = if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
    let mut address = Address::read("endpoint", &url)?;
    if !address.path.is_empty() || address.query.is_some() {
        return Err("`endpoint` is a host alone: project and logstore are members of their own".into());
    }
    let host = format!("{project}.{}", address.host);
    if address.host.parse::<IpAddr>().is_err() {
        address.host.clone_from(&host);
    }
    Ok((address, host))
}

/// What the service says when it does not take a request.
#[derive(Debug, Default, Deserialize)]
struct Told {
    #[serde(default, rename = "errorCode")]
    code: String,
    #[serde(default, rename = "errorMessage")]
    message: String,
}

/// What an answer means: some codes mean something else than their status.
fn verdict(address: &Address, answer: &Answer) -> Result<(), Fault> {
    if answer.status.is_success() {
        return Ok(());
    }
    let told: Told = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = format!("{}: {}", told.code, told.message);
    let as_kind = |kind, mend: &str| {
        let message = format!("{address} answered {}: {}{mend}", answer.status.as_u16(), clip(&text));
        Err(Fault::new(kind, message).after(retry_after(&answer.headers)))
    };
    match told.code.as_str() {
        "WriteQuotaExceed" | "ShardWriteQuotaExceed" | "ProjectQuotaExceed" => {
            as_kind(FaultKind::Later, "; a larger quota or more shards would help")
        }
        "InternalServerError" | "RequestTimeout" | "ServerBusy" => as_kind(FaultKind::Later, ""),
        "PostBodyTooLarge" => as_kind(FaultKind::TooLarge, ""),
        "RequestTimeExpired" | "RequestTimeTooSkewed" => {
            as_kind(FaultKind::Setup, "; the clock of this machine is wrong by more than 15 minutes")
        }
        "SignatureNotMatch" | "Unauthorized" | "InvalidAccessKeyId" | "SecurityTokenExpired" => {
            as_kind(FaultKind::Setup, "; the key, its secret, the region or the kind of signature is wrong")
        }
        "ProjectNotExist" | "LogStoreNotExist" | "LogstoreNotExist" => as_kind(FaultKind::Setup, "; it must be made first"),
        "" => judge(address, answer, None),
        _ => judge(address, answer, Some(&text)),
    }
}

impl Sls {
    async fn put_logs(&self, batch: &Batch, now: Timestamp) -> Result<u64, Fault> {
        let (copy, label) = (batch.clone(), self.label.clone());
        self.send(move || label.group(&copy, now), now).await
    }

    /// Sends a group; `None` for one that is too large.
    async fn send(&self, group: impl FnOnce() -> Option<Vec<u8>> + Send + 'static, now: Timestamp) -> Result<u64, Fault> {
        let packing = self.packing;
        let packed = self.hands.compute.run(move || {
            let Some(raw) = group() else { return Ok(None) };
            let length = raw.len();
            Ok(packing.pack(raw).ok().map(|packed| (packed, length)))
        });
        let packed = packed.await.map_err(|e| Fault::later(format!("a batch cannot be written now: {e}")))?;
        let too_large = || Fault::new(FaultKind::TooLarge, "more logs or bytes than one request of SLS may carry");
        let (body, raw) = packed.ok_or_else(too_large)?;
        let sent = body.len() as u64;
        let headers = self.headers(&body, raw, now).map_err(Fault::setup)?;
        let call = Call { method: Method::POST, path: self.path.clone(), headers, body: Bytes::from(body) };
        verdict(self.caller.address(), &self.caller.call(&call).await?)?;
        Ok(sent)
    }

    fn headers(&self, body: &[u8], raw: usize, now: Timestamp) -> Result<HeaderMap, String> {
        let mut all = vec![
            ("host".to_owned(), self.host.clone()),
            ("content-type".to_owned(), "application/x-protobuf".to_owned()),
            ("x-log-apiversion".to_owned(), "0.6.0".to_owned()),
            ("x-log-bodyrawsize".to_owned(), raw.to_string()),
        ];
        all.extend(self.packing.name().map(|name| ("x-log-compresstype".to_owned(), name.to_owned())));
        let mut headers = HeaderMap::new();
        for (name, value) in self.signer.signed(&self.path, all, body, now) {
            let secret = matches!(name.as_str(), "authorization" | "x-acs-security-token");
            put(&mut headers, &name, &value, secret)?;
        }
        Ok(headers)
    }
}

impl Sink for Sls {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let bytes = self.put_logs(batch, SystemClock::new().now()).await?;
            Ok(Delivered { objects: 1, bytes, ..Delivered::default() })
        })
    }

    /// Writes one log under a topic of its own, which stays: the service lets nothing be taken back, and a key that may write may not ask.
    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async move {
            let (now, label) = (SystemClock::new().now(), self.label.clone());
            self.send(move || Some(label.probe(now)), now).await.map(drop)
        })
    }
}
