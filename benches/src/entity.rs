//! What in an event is replaced, and by what: ids, times, the actor's texts, names of resources, opaque tokens.
//!
//! An event's own structure says what a text is (`userIdentity`, `eventID`, ...); in the parameters and answers it is
//! guessed from its form (`i-0abc...`, UUIDs, long tokens) and from the key it stands under (`bucketName`, ...).
//! A text that was found is replaced wherever it stands in the event as a whole word.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::population::PoolKind;
use crate::text::{is_word, read_seconds};

/// At most so many texts are replaced in one event beyond those that every event has.
const BUDGET: usize = 64;
/// Shorter ids could stand in an event by chance.
const ID_BYTES_MIN: usize = 16;
const ID_KEYS: [&str; 3] = ["eventID", "eventId", "EventId"];
const TEXT_BYTES_MAX: usize = 4_000;
const PREFIXES: &str = "i r vol sg sgr subnet vpc ami aki ari snap eni eni-attach rtb rtbassoc igw acl aclassoc nat eipalloc eipassoc lt vpce \
                        dopt tgw pcx fl fs key d vsw img lb rm m s";
const NAME_KEYS: &str = "bucketName roleName functionName tableName keyName groupName policyName userName secretId topicArn queueUrl stackName \
                         clusterName dBInstanceIdentifier dbInstanceIdentifier logGroupName logStreamName instanceProfileName repositoryName \
                         key name alarmName streamName aliasName trailName InstanceName Name BucketName InstanceId ZoneId instanceId \
                         policyArn roleArn resourceArn";
const SKIPPED_KEYS: &str = "policyDocument filterSet tagSet tags tagSpecificationSet attributeSet filters Filters parameterFilters";
const WALKED: [&str; 5] = ["requestParameters", "RequestParameters", "responseElements", "ResponseElements", "additionalEventData"];

/// What comes in place of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fill {
    Uuid,
    /// Capitals and digits, fresh, of this length.
    Capitals(usize),
    /// Base64, fresh, of this length.
    Token(usize),
    Time,
    /// So many seconds before the event.
    Before(i64),
    User,
    /// Of this length, after the kept prefix.
    Key(usize),
    Address,
    PrincipalLetters(usize),
    PrincipalDigits(usize),
    /// A resource of the pool with this number.
    Resource(usize),
}

/// A fill, and the literal text before and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entity {
    pub(crate) fill: Fill,
    pub(crate) before: String,
    pub(crate) after: &'static str,
    /// The old text is JSON as written, key and quotes included: for values too short to be looked for by themselves.
    pub(crate) written: bool,
}

/// The pools of a corpus: their kinds, and how often each is mentioned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pools {
    pub(crate) kinds: Vec<(PoolKind, u64)>,
    numbers: BTreeMap<PoolKind, usize>,
}

impl Pools {
    fn mention(&mut self, kind: PoolKind) -> usize {
        let number = *self.numbers.entry(kind.clone()).or_insert(self.kinds.len());
        if number == self.kinds.len() {
            self.kinds.push((kind, 0));
        }
        if let Some((_, mentions)) = self.kinds.get_mut(number) {
            *mentions += 1;
        }
        number
    }
}

/// Finds what is replaced in an event, by its old text.
pub(crate) fn find(event: &Map<String, Value>, pools: &mut Pools) -> BTreeMap<String, Entity> {
    let mut finder = Finder { found: BTreeMap::new(), kept: BTreeSet::new(), left: BUDGET, pools };
    let time = finder.envelope(event);
    if let Some(Value::Object(identity)) = event.get("userIdentity").or_else(|| event.get("UserIdentity")) {
        finder.identity(identity, time);
    }
    for key in WALKED {
        if let Some(value) = event.get(key) {
            finder.walk(value, key);
        }
    }
    for resource in event.get("resources").and_then(Value::as_array).into_iter().flatten() {
        if let Some(arn) = text(resource, &["ARN", "arn"]) {
            finder.name(arn, "resourceArn");
        }
    }
    for names in event.get("referencedResources").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        for name in names.as_array().into_iter().flatten().filter_map(Value::as_str).filter(|n| n.len() >= 4) {
            finder.name(name, "Name");
        }
    }
    finder.found
}

struct Finder<'p> {
    found: BTreeMap<String, Entity>,
    /// Names that stay: roles and issuers, so that sessions of a role remain sessions of that role.
    kept: BTreeSet<String>,
    left: usize,
    pools: &'p mut Pools,
}

impl Finder<'_> {
    fn put(&mut self, old: &str, fill: Fill, before: &str, after: &'static str) {
        if !old.is_empty() && !self.found.contains_key(old) {
            self.found.insert(old.to_owned(), Entity { fill, before: before.to_owned(), after, written: false });
        }
    }

    /// Ids, time and address; gives the time.
    fn envelope(&mut self, event: &Map<String, Value>) -> Option<i64> {
        let get = |keys: &[&str]| keys.iter().filter_map(|k| event.get(*k)?.as_str()).find(|t| !t.is_empty());
        let id = get(&ID_KEYS);
        if let Some(id) = id {
            self.id(event, id);
        }
        match get(&["requestID", "requestId", "RequestId"]) {
            Some(request) if Some(request) == id => {}
            Some(request) if uuid_at(request, 0) && request.len() == 36 => self.put(request, Fill::Uuid, "", ""),
            Some(request) if request.len() >= ID_BYTES_MIN => self.put(request, Fill::Capitals(request.len()), "", ""),
            _ => {}
        }
        if let Some(shared) = get(&["sharedEventID"]).filter(|shared| shared.len() >= ID_BYTES_MIN) {
            self.put(shared, Fill::Uuid, "", "");
        }
        if let Some(address) = get(&["sourceIPAddress", "sourceIpAddress", "SourceIpAddress"])
            && address.parse::<std::net::Ipv4Addr>().is_ok()
        {
            self.put(address, Fill::Address, "", "");
        }
        let time = get(&["eventTime", "EventTime"])?;
        let seconds = read_seconds(time)?;
        self.put_time(time, Fill::Time);
        Some(seconds)
    }

    /// Every event needs an id of its own; one like `1` or `redacted` is replaced only where it is the id.
    fn id(&mut self, event: &Map<String, Value>, id: &str) {
        if id.len() >= ID_BYTES_MIN {
            return self.put(id, Fill::Uuid, "", "");
        }
        for key in ID_KEYS.into_iter().filter(|key| event.get(*key).and_then(Value::as_str) == Some(id)) {
            let member = format!("\"{key}\":{}", Value::from(id));
            let entity = Entity { fill: Fill::Uuid, before: format!("\"{key}\":\""), after: "\"", written: true };
            self.found.insert(member, entity);
        }
    }

    /// A time keeps what follows its seconds: fraction and zone.
    fn put_time(&mut self, time: &str, fill: Fill) {
        if time.len() == 20 && time.ends_with('Z') {
            self.put(time, fill, "", "Z");
        } else if let Some(plain) = time.get(..19) {
            self.put(plain, fill, "", "");
        }
    }

    fn identity(&mut self, identity: &Map<String, Value>, time: Option<i64>) {
        let get =
            |lower: &str, upper: &str| identity.get(lower).or_else(|| identity.get(upper)).and_then(Value::as_str).unwrap_or_default();
        let (kind, name, principal) = (get("type", "Type"), get("userName", "UserName"), get("principalId", "PrincipalId"));
        let session = identity.get("sessionContext").or_else(|| identity.get("SessionContext"));
        let issuer = session.and_then(|s| s.get("sessionIssuer"));
        for key in ["userName", "arn", "principalId"] {
            self.kept.extend(issuer.and_then(|i| i.get(key)).and_then(Value::as_str).map(str::to_owned));
        }
        match kind {
            "IAMUser" | "ram-user" => self.user(name, principal),
            "AssumedRole" | "assumed-role" | "FederatedUser" | "SAMLUser" | "WebIdentityUser" => self.session(kind, name, principal),
            _ => {}
        }
        let key = get("accessKeyId", "AccessKeyId");
        if key.len() >= 16
            && let (Some(prefix), Some(rest)) = (key.get(..4), key.get(4..))
        {
            self.put(key, Fill::Key(rest.len()), prefix, "");
        }
        let created = session.and_then(|s| s.get("attributes")).and_then(|a| a.get("creationDate")).and_then(Value::as_str);
        if let (Some(created), Some(time)) = (created, time)
            && let Some(age) = read_seconds(created).map(|c| time - c).filter(|age| (1..172_800).contains(age))
        {
            self.put_time(created, Fill::Before(age));
        }
    }

    fn user(&mut self, name: &str, principal: &str) {
        if name.len() >= 3 {
            self.put(name, Fill::User, "", "");
        }
        let plain = |rest: &str| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'*');
        if let Some(rest) = principal.strip_prefix("AIDA").filter(|rest| plain(rest)) {
            self.put(principal, Fill::PrincipalLetters(rest.len()), "AIDA", "");
        } else if let (Some(first), Some(rest)) = (principal.get(..2), principal.get(2..))
            && first.bytes().all(|b| b.is_ascii_digit())
            && plain(rest)
        {
            self.put(principal, Fill::PrincipalDigits(rest.len()), first, "");
        }
    }

    /// The session's name is the actor; sessions that services or machines name for themselves stay as they are.
    fn session(&mut self, kind: &str, name: &str, principal: &str) {
        if kind == "assumed-role"
            && let Some((role, _)) = name.split_once(':')
        {
            self.kept.insert(role.to_owned());
        }
        let session = principal.split_once(':').map_or("", |(_, session)| session);
        let lower = session.to_ascii_lowercase();
        let machine = lower.strip_prefix("i-").and_then(|t| t.get(..8)).is_some_and(|t| t.bytes().all(|b| b.is_ascii_hexdigit()));
        if session.len() >= 4 && !lower.starts_with("aws") && !machine {
            self.put(session, Fill::User, "", "");
        }
    }

    /// Recursion is as deep as the event, which `serde_json` holds to 128.
    fn walk(&mut self, value: &Value, key: &str) {
        match value {
            Value::Object(members) => {
                for (key, value) in members.iter().filter(|(key, _)| !listed(SKIPPED_KEYS, key)) {
                    self.walk(value, key);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, key)),
            Value::String(text) => self.name(text, key),
            _ => {}
        }
    }

    fn resource(&mut self, old: &str, kind: PoolKind, before: &str) {
        let number = old.bytes().all(|b| b.is_ascii_digit());
        if self.kept.contains(old) || self.found.contains_key(old) || number || self.left == 0 {
            return;
        }
        self.left -= 1;
        let pool = self.pools.mention(kind);
        self.put(old, Fill::Resource(pool), before, "");
    }

    fn name(&mut self, text: &str, key: &str) {
        let service_role = text.contains("AWSServiceRole") || text.starts_with("arn:aws:iam::aws:");
        if self.found.contains_key(text) || self.kept.contains(text) || service_role || text.len() > TEXT_BYTES_MAX {
            return;
        }
        let ids = self.ids(text);
        let uuids = self.uuids(text, key);
        let token = || text.len() >= 40 && text.bytes().all(|b| is_word(b) || matches!(b, b'+' | b'/' | b'='));
        if listed(NAME_KEYS, key) && !ids && !uuids {
            self.bare(text);
        } else if token() && text.bytes().collect::<BTreeSet<u8>>().len() > 20 && !text.chars().take(8).any(|c| c == '/') && self.left > 0 {
            self.left -= 1;
            self.put(text, Fill::Token(text.len()), "", "");
        }
    }

    /// Ids like `vol-0123abcd`; whether there were any.
    fn ids(&mut self, text: &str) -> bool {
        let mut any = false;
        for word in text.split(|c: char| !c.is_ascii() || !is_word(c as u8)) {
            let Some((prefix, tail)) = word.rsplit_once('-') else { continue };
            let plain = tail.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if plain && (8..=24).contains(&tail.len()) && listed(PREFIXES, prefix) {
                any = true;
                self.resource(word, PoolKind::Id(format!("{prefix}-"), tail.len()), "");
            }
        }
        any
    }

    /// UUIDs: names of keys are resources, others are taken for fresh ones; whether there were any.
    fn uuids(&mut self, text: &str, key: &str) -> bool {
        let (mut any, mut at) = (false, 0);
        while at + 36 <= text.len() {
            if !uuid_at(text, at) {
                at += 1;
                continue;
            }
            any = true;
            let uuid = text.get(at..at + 36).unwrap_or_default();
            if text.starts_with("arn:") || matches!(key, "keyId" | "KeyId") {
                self.resource(uuid, PoolKind::Uuid, "");
            } else if !self.found.contains_key(uuid) && self.left > 0 {
                self.left -= 1;
                self.put(uuid, Fill::Uuid, "", "");
            }
            at += 36;
        }
        any
    }

    /// The last part of a name, path or ARN.
    fn bare(&mut self, text: &str) {
        let base = text.rsplit([':', '/']).next().unwrap_or_default();
        let plain = base.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'@' | b'*' | b'-'));
        if (4..=80).contains(&base.len()) && plain {
            let short = base.get(..24).unwrap_or(base);
            self.resource(base, PoolKind::Name(short.to_owned()), &format!("{base}-"));
        }
    }
}

fn listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

fn text<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v str> {
    keys.iter().filter_map(|key| value.get(key)?.as_str()).find(|text| !text.is_empty())
}

/// Whether 36 bytes from here are a UUID, in either case.
fn uuid_at(text: &str, at: usize) -> bool {
    let Some(bytes) = text.as_bytes().get(at..at + 36) else { return false };
    bytes.iter().enumerate().all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(event: &str) -> BTreeMap<String, Entity> {
        let Value::Object(event) = serde_json::from_str(event).unwrap() else { panic!("not an object") };
        find(&event, &mut Pools::default())
    }

    #[test]
    fn finds_the_actor_the_ids_and_the_resources() {
        let found = found(
            r#"{"eventID":"2b5d4b1e-1111-4222-8333-444455556666","requestID":"NDWTC3NM6HAYKD8C","eventTime":"2026-11-22T08:00:00Z",
            "sourceIPAddress":"10.0.0.1","userIdentity":{"type":"IAMUser","userName":"pedro","principalId":"AIDAICAK2CN5MGHIIDIHA",
            "accessKeyId":"ASIA5FLZVX4OI4ZDQJOL","sessionContext":{"attributes":{"creationDate":"2026-11-22T07:59:00Z"}}},
            "requestParameters":{"bucketName":"logs-prod","instancesSet":{"items":[{"instanceId":"i-0317f6c6b66ae9c40"}]},"tags":{"name":"kept"}}}"#,
        );
        let fill = |old: &str| found.get(old).map(|e| (e.fill.clone(), e.before.as_str(), e.after));
        assert_eq!(fill("NDWTC3NM6HAYKD8C"), Some((Fill::Capitals(16), "", "")));
        assert_eq!(fill("2026-11-22T07:59:00Z"), Some((Fill::Before(60), "", "Z")));
        assert_eq!(fill("pedro"), Some((Fill::User, "", "")));
        assert_eq!(fill("AIDAICAK2CN5MGHIIDIHA"), Some((Fill::PrincipalLetters(17), "AIDA", "")));
        assert_eq!(fill("ASIA5FLZVX4OI4ZDQJOL"), Some((Fill::Key(16), "ASIA", "")));
        assert_eq!(fill("logs-prod"), Some((Fill::Resource(0), "logs-prod-", "")));
        assert_eq!(fill("i-0317f6c6b66ae9c40"), Some((Fill::Resource(1), "", "")));
        assert_eq!(found.len(), 10, "{:?}", found.keys());
    }

    #[test]
    fn roles_and_machines_keep_their_names() {
        let found = found(
            r#"{"userIdentity":{"type":"AssumedRole","principalId":"AROA5FLZVX4OAMSW6BCRH:i-0317f6c6b66ae9c40",
            "sessionContext":{"sessionIssuer":{"userName":"deploy-role"}}},"requestParameters":{"roleName":"deploy-role"}}"#,
        );
        assert!(found.is_empty(), "{:?}", found.keys());
    }
}
