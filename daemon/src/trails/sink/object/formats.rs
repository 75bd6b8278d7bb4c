//! [`FORMATS`]: the formats that there are, and the members by which a definition chooses one.

use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::format::{Format, FormatKind};
#[cfg(feature = "parquet")]
use crate::trails::sink::object::parquet;
use crate::trails::sink::object::{actiontrail, cloudtrail, ndjson};

/// Every format of events.
pub const FORMATS: &[&FormatKind] = &[
    &ndjson::FORMAT,
    &actiontrail::FORMAT,
    &cloudtrail::FORMAT,
    #[cfg(feature = "parquet")]
    &parquet::FORMAT,
];

/// Their names.
#[cfg(feature = "parquet")]
const NAMES: &[&str] = &["ndjson", "actiontrail", "cloudtrail", "parquet", "segments"];
#[cfg(not(feature = "parquet"))]
const NAMES: &[&str] = &["ndjson", "actiontrail", "cloudtrail", "segments"];

/// How many members about formats there are.
pub const COUNT: usize = 6;

/// The members about formats that every sink of objects has.
const MEMBERS: [Member; COUNT] = [
    Member::new("format", Form::Choice(NAMES), "how events are written; default `ndjson`"),
    Member::new("compression", Form::Choice(&["zstd", "gzip", "none"]), "of files with lines; default `zstd`"),
    Member::new("account", Form::Text, "the account in the names of `cloudtrail`; default 000000000000"),
    Member::new("layout_region", Form::Text, "the region in the names of `actiontrail` and `cloudtrail`; default `region`, or local"),
    Member::new("digests", Form::Flag, "whether `cloudtrail` is followed by signed digests"),
    Member::new("digest_seconds", Form::Integer(1, 3_600), "the time that a digest covers; default 3600"),
];

/// The members of a kind of sink, and those about formats behind them. `ALL` is `OWN` and [`COUNT`].
#[must_use]
pub const fn beside<const OWN: usize, const ALL: usize>(own: [Member; OWN]) -> [Member; ALL] {
    let mut all = [MEMBERS[0]; ALL];
    let mut i = 0;
    while i < ALL {
        all[i] = if i < OWN { own[i] } else { MEMBERS[i - OWN] };
        i += 1;
    }
    all
}

/// The format that a definition asks for.
///
/// # Errors
/// A sentence that names the member.
pub fn of(order: &Order<'_>) -> Result<Box<dyn Format>, String> {
    let name = named(&order.members);
    let kind = FORMATS.iter().find(|kind| kind.name == name).ok_or_else(|| format!("there is no format `{name}`"))?;
    (kind.make)(order)
}

/// The name of the format that a definition asks for.
#[must_use]
pub fn named<'a>(members: &Members<'a>) -> &'a str {
    members.text("format").unwrap_or("ndjson")
}
