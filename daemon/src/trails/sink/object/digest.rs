//! [`Chain`]: signed digests of the files of a trail, as CloudTrail writes them, so that `aws cloudtrail validate-logs` checks them.
//!
//! A digest lists the files that arrived since the one before with the SHA-256 of what is in them, names the digest before with its SHA-256 and its
//! signature, and is signed itself (RSA, PKCS #1 v1.5, SHA-256; the signature stands beside the object as metadata). So a file that was altered or
//! deleted is found, and a digest that was deleted leaves a chain that does not close. A digest ends at a full period (an hour), also when there were no
//! files; it ends earlier when many files wait. While the server is away there are no digests: the next one covers the whole time. What the next one must
//! know is kept with the position of the trail. A trail that gets another bucket or prefix of the same store goes on with its chain. Limits: who holds the key, which lies with the trails, can sign another history.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trail_engine::error::ErrorKind;
use trail_engine::id::Timestamp;

use crate::mutants;
use crate::trails::keeping::key_pair::PublicKey;
use crate::trails::keeping::keyring::Keyring;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::layout::{Layout, day_path, digits, seconds};
use crate::trails::sink::object::ndjson::gzip;
use crate::trails::sink::object::store::Object;

/// A digest ends early when so many files wait for it: all of them are kept with every position.
const FILES_MAX: usize = 1_000;
/// At which full so many seconds an early one ends.
const EARLY_SECONDS: u64 = 60;

/// Where the files of a trail are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store: its endpoint, empty for the default one.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// What all names begin with, without slashes around it.
    pub prefix: String,
    /// The rest of the names.
    pub layout: Layout,
}

/// A file that a digest will list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its name without the prefix.
    pub key: String,
    /// The SHA-256 of what is in it, in hex.
    pub hash: String,
    /// The oldest event time in it.
    pub oldest: String,
    /// The newest.
    pub newest: String,
    /// When it arrived, in seconds since the epoch.
    pub at: i64,
    /// Where it is, when that is not where files go now.
    #[serde(default)]
    pub elsewhere: Option<Elsewhere>,
}

/// An object of the bucket or prefix that a trail delivered to before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    bucket: String,
    /// Its whole name.
    key: String,
}

/// The digest before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    key: String,
    hash: String,
    signature: String,
    #[serde(default)]
    elsewhere: Option<Elsewhere>,
}

/// What is kept of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Where the last digest ended, in seconds since the epoch; 0 before the first file.
    ends_at: i64,
    previous: Option<Link>,
    files: Vec<LogFile>,
    /// The place of all these: endpoint, bucket, prefix, account, region.
    place: [String; 5],
}

impl State {
    /// Goes on at a place: in another bucket or under another prefix of the same store the chain goes on, and says where what was before is; at another store, or
    /// for another account or region, a new one begins.
    fn moves_to(&mut self, place: [String; 5]) {
        let old = std::mem::replace(&mut self.place, place);
        let [endpoint, bucket, prefix, account, region] = &old;
        let [new_endpoint, _, _, new_account, new_region] = &self.place;
        if bucket.is_empty() || old == self.place {
            return;
        }
        if [endpoint, account, region] != [new_endpoint, new_account, new_region] {
            *self = State { place: self.place.clone(), ..State::default() };
            return;
        }
        let at = |key: &str| Elsewhere { bucket: bucket.clone(), key: whole_key(prefix, key) };
        for file in &mut self.files {
            file.elsewhere.get_or_insert_with(|| at(&file.key));
        }
        if let Some(link) = &mut self.previous {
            link.elsewhere.get_or_insert_with(|| at(&link.key));
        }
    }
}

/// A name with the prefix of its place.
fn whole_key(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") }
}

/// The digests of one trail.
#[derive(Debug)]
pub struct Chain {
    place: Place,
    period: u64,
    keyring: Keyring,
    state: State,
    /// A digest that was made, and what is true once it has arrived.
    drafted: Option<(String, State)>,
}

impl Chain {
    /// The chain that goes on from what was kept.
    ///
    /// # Errors
    /// When what was kept is not of a chain.
    pub fn new(place: Place, period: u64, keyring: &Keyring, kept: Option<&Value>) -> Result<Chain, String> {
        let state = kept.map_or(Ok(State::default()), State::deserialize);
        let mut state = state.map_err(|e| format!("what was kept of the digests cannot be read: {e}"))?;
        state.moves_to([&place.endpoint, &place.bucket, &place.prefix, &place.layout.account, &place.layout.region].map(Clone::clone));
        Ok(Chain { place, period: period.max(1), keyring: keyring.clone(), state, drafted: None })
    }

    /// A file has arrived. The chain begins with the period of the first.
    pub fn take(&mut self, file: Option<LogFile>, now: Timestamp) {
        let Some(file) = file else { return };
        let at = now.as_millis().div_euclid(1_000);
        if self.state.ends_at == 0 {
            self.state.ends_at = self.floor(at, self.period);
        }
        self.state.files.retain(|known| known.key != file.key || known.elsewhere.is_some());
        self.state.files.push(LogFile { at, ..file });
    }

    /// A digest has arrived.
    pub fn settle(&mut self, key: &str) {
        if let Some((_, state)) = self.drafted.take_if(|(drafted, _)| drafted == key) {
            self.state = state;
        }
    }

    /// What is to be kept.
    #[must_use]
    pub fn state(&self) -> Option<Value> {
        serde_json::to_value(&self.state).ok()
    }

    fn floor(&self, seconds: i64, period: u64) -> i64 {
        let period = i64::try_from(period).unwrap_or(i64::MAX);
        seconds.div_euclid(period).saturating_mul(period)
    }

    /// The digest that is due, when one is.
    ///
    /// # Errors
    /// When the key cannot be had, or the digest not be signed.
    pub fn due(&mut self, now: Timestamp) -> Result<Option<Object>, Fault> {
        let now = now.as_millis().div_euclid(1_000);
        let period = if self.state.files.len() >= FILES_MAX { EARLY_SECONDS.min(self.period) } else { self.period };
        let end = self.floor(now, period);
        if self.state.ends_at == 0 || end <= self.state.ends_at {
            return Ok(None);
        }
        let key = self.keyring.signing(now).map_err(|e| match e.kind() {
            ErrorKind::Corrupt => Fault::setup(format!("the keys of the digests are damaged: {e}")),
            _ => Fault::later(format!("the keys of the digests cannot be had: {e}")),
        })?;
        let (covered, left) = self.state.files.iter().cloned().partition::<Vec<_>, _>(|file| file.at < end);
        let (name, text) = (self.name(end), self.text(end, &covered, &key.public)?);
        let hash = hex(&Sha256::digest(&text));
        let previous = self.state.previous.as_ref().map_or("null", |link| &link.signature);
        let signed = format!("{}\n{}/{}\n{hash}\n{previous}", iso(end), self.place.bucket, self.full(&name));
        let signature = hex(&key.sign(signed.as_bytes()).map_err(|e| Fault::later(format!("a digest cannot be signed: {e}")))?);
        let link = Link { key: name.clone(), hash, signature: signature.clone(), elsewhere: None };
        let next = State { ends_at: end, previous: Some(link), files: left, place: self.state.place.clone() };
        self.drafted = Some((name.clone(), next));
        let bytes = gzip(&text).map_err(|e| Fault::later(format!("a digest cannot be compressed: {e}")))?.into();
        let metadata = vec![("signature".to_owned(), signature), ("signature-algorithm".to_owned(), "SHA256withRSA".to_owned())];
        Ok(Some(Object { key: name, bytes, content_type: "application/json", metadata }))
    }

    fn name(&self, end: i64) -> String {
        let Layout { trail, account, region } = &self.place.layout;
        let time = Timestamp::from_seconds(end).unwrap_or_default();
        let digits = digits(time);
        let (date, clock) = digits.split_at_checked(8).unwrap_or_default();
        format!(
            "AWSLogs/{account}/CloudTrail-Digest/{region}/{}/{account}_CloudTrail-Digest_{region}_{trail}_{region}_{date}T{clock}Z.json.gz",
            day_path(time),
        )
    }

    fn full(&self, key: &str) -> String {
        whole_key(&self.place.prefix, key)
    }

    /// The bucket and the whole name of an object of this chain.
    fn at<'a>(&'a self, key: &str, elsewhere: Option<&'a Elsewhere>) -> (&'a str, String) {
        elsewhere.map_or_else(|| (self.place.bucket.as_str(), self.full(key)), |old| (old.bucket.as_str(), old.key.clone()))
    }

    fn text(&self, end: i64, files: &[LogFile], key: &PublicKey) -> Result<Vec<u8>, Fault> {
        let bucket = &self.place.bucket;
        let listed = |file: &LogFile| {
            let (bucket, key) = self.at(&file.key, file.elsewhere.as_ref());
            json!({
                "s3Bucket": bucket, "s3Object": key, "hashValue": file.hash, "hashAlgorithm": "SHA-256",
                "newestEventTime": file.newest, "oldestEventTime": file.oldest,
            })
        };
        let previous = self.state.previous.as_ref().filter(|_| !mutants::is("digest_not_chained"));
        let (before, key_before) = previous.map(|link| self.at(&link.key, link.elsewhere.as_ref())).unzip();
        let text = json!({
            "awsAccountId": self.place.layout.account,
            "digestStartTime": iso(self.state.ends_at),
            "digestEndTime": iso(end),
            "digestS3Bucket": bucket,
            "digestS3Object": self.full(&self.name(end)),
            "digestPublicKeyFingerprint": key.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": files.iter().map(|file| &file.newest).max(),
            "oldestEventTime": files.iter().map(|file| &file.oldest).min(),
            "previousDigestS3Bucket": before,
            "previousDigestS3Object": key_before,
            "previousDigestHashValue": previous.map(|link| &link.hash),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.map(|link| &link.signature),
            "logFiles": files.iter().map(listed).collect::<Vec<_>>(),
        });
        serde_json::to_vec(&text).map_err(|e| Fault::later(format!("a digest cannot be written: {e}")))
    }
}

/// What `ListPublicKeys` says of a key.
#[must_use]
pub fn listed(key: &PublicKey) -> Value {
    json!({
        "Value": STANDARD.encode(&key.der), "ValidityStartTime": key.valid_from(), "ValidityEndTime": key.valid_until(),
        "Fingerprint": key.fingerprint,
    })
}

fn iso(time: i64) -> String {
    seconds(Timestamp::from_seconds(time).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |hex, byte| hex + &format!("{byte:02x}"))
}
