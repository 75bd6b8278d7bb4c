//! `azblob`: a container of Azure Blob Storage.
//!
//! The key is the account's, or a token that was signed with it (SAS) for this container.

use std::time::Duration;

use opendal::services::Azblob;

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
    name: "azblob",
    doc: "objects in a container of Azure Blob Storage",
    members: &MEMBERS,
    batch: BatchLimits { events: 50_000, bytes: 64 << 20, delay: Duration::from_secs(60) },
    whole_segments: |members| formats::named(members) == SEGMENTS,
    make,
    by_url: Some(ByUrl {
        scheme: "azblob",
        bucket: "container",
        environment: &[
            ("account_name", Variable::Value("AZURE_STORAGE_ACCOUNT")),
            ("account_key", Variable::Value("AZURE_STORAGE_KEY")),
            ("sas_token", Variable::Value("AZURE_STORAGE_SAS_TOKEN")),
        ],
        store,
    }),
};

const MEMBERS: [Member; 8 + COUNT] = formats::beside([
    Member::new("container", Form::Text, "the container; it must exist").required(),
    Member::new("prefix", Form::Text, "what all names begin with"),
    Member::new("endpoint", Form::Text, "the server's URL; default https://ACCOUNT.blob.core.windows.net"),
    Member::new("account_name", Form::Text, "the storage account").required(),
    Member::new("account_key", Form::Secret, "the account's key; this or `sas_token`"),
    Member::new("sas_token", Form::Secret, "a token for the container; this or `account_key`"),
    CA_FILE,
    TIMEOUT,
]);

fn builder(members: &Members<'_>, endpoint: &str, account: &str) -> Result<Azblob, String> {
    let azblob = Azblob::default().container(bucket(members, "container")?).root(prefix(members)?).endpoint(endpoint).account_name(account);
    match (members.secret("account_key")?, members.secret("sas_token")?) {
        (Some(key), None) => Ok(azblob.account_key(&key)),
        (None, Some(token)) => Ok(azblob.sas_token(token.trim_start_matches('?'))),
        _ => Err("one of `account_key` and `sas_token` must be there, and not both".into()),
    }
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    into_store(order, store(&order.members, order.hands)?)
}

fn store(members: &Members<'_>, hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
    let account = bucket(members, "account_name")?;
    let endpoint = endpoint(members)?.map_or_else(|| format!("https://{account}.blob.core.windows.net"), ToOwned::to_owned);
    let transport = transport(members, hands)?;
    let operator = operator(builder(members, &endpoint, account)?, transport.clone())?;
    let place = place("azblob", bucket(members, "container")?, prefix(members)?, &endpoint);
    let words = Words { place, keys: "`account_key` or `sas_token`", bucket: "container" };
    let ways = Ways { operator, proof: Proof::Says, asked: transport.asked().clone(), words };
    Ok(Box::new(Bucket::new(ways, hands)))
}
