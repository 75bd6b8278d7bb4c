//! Files as CloudTrail lays them into a bucket:
//! `AWSLogs/ACCOUNT/CloudTrail/REGION/2026/11/22/ACCOUNT_CloudTrail_REGION_20261122T1000Z_0000fdZ00000012aB.json.gz`.
//!
//! A gzip file with `{"Records":[...]}`, the events verbatim. The sixteen characters, random with the vendor, are here the number of the
//! batch (six) and its last sequence (ten) in base 62: names sort as the log does, and the last says how far the trail got. With
//! `digests` a signed digest follows every hour ([`super::digest`]). Limits: names hold no trail, so that two trails need prefixes, accounts or
//! regions of their own; all events stand under the region of the definition.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trail_engine::id::{Day, Sequence, Timestamp};

use crate::trails::setting::members::Members;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::digest::{Chain, LogFile, Place};
use crate::trails::sink::object::format::{Format, FormatKind, Named};
use crate::trails::sink::object::layout::{Layout, base62, day_path, digits, read_base62, seconds, time_of, write_array};
use crate::trails::sink::object::ndjson::gzip;
use crate::trails::sink::object::store::Object;

/// The row for the table of formats.
pub const FORMAT: FormatKind = FormatKind { name: "cloudtrail", make };

const NUMBER_DIGITS: usize = 6;
const SEQUENCE_DIGITS: usize = 10;
const SUFFIX: &str = ".json.gz";

#[derive(Debug)]
struct CloudTrail {
    layout: Layout,
    /// The digests, when they are wanted; with the file that was encoded last.
    chain: Option<Mutex<(Chain, Option<LogFile>)>>,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Format>, String> {
    let layout = Layout::of(order)?;
    let members = &order.members;
    let chain = match (members.flag("digests"), members.text("bucket")) {
        (false, _) => None,
        (true, None) => return Err("`digests` need a place that keeps a signature beside an object: `s3`, `oss` or `gcs`".into()),
        (true, Some(bucket)) => {
            let prefix = members.text("prefix").unwrap_or_default().trim_matches('/').to_owned();
            let endpoint = members.text("endpoint").unwrap_or_default().to_owned();
            let place = Place { endpoint, bucket: bucket.to_owned(), prefix, layout: layout.clone() };
            let period = members.number("digest_seconds").unwrap_or(3_600);
            Some(Mutex::new((Chain::new(place, period, order.keyring, order.state)?, None)))
        }
    };
    Ok(Box::new(CloudTrail { layout, chain }))
}

/// What a verifier of digests wants to know of a trail; `None` when it makes no files of this layout.
#[must_use]
pub fn described(trail: &str, members: &Members<'_>) -> Option<Value> {
    let layout = Layout::read(trail, members).ok().filter(|_| members.text("format") == Some(FORMAT.name))?;
    let bucket = members.text("bucket")?;
    let Layout { account, region, .. } = &layout;
    let mut described = json!({
        "Name": trail, "S3BucketName": bucket, "IncludeGlobalServiceEvents": true, "IsMultiRegionTrail": false, "HomeRegion": region,
        "TrailARN": format!("arn:aws:cloudtrail:{region}:{account}:trail/{trail}"), "LogFileValidationEnabled": members.flag("digests"),
        "HasCustomEventSelectors": false, "HasInsightSelectors": false, "IsOrganizationTrail": false,
    });
    if let Some(prefix) = members.text("prefix") {
        described["S3KeyPrefix"] = prefix.trim_matches('/').into();
    }
    Some(described)
}

impl CloudTrail {
    fn key(&self, batch: &Batch) -> Option<String> {
        let Layout { account, region, .. } = &self.layout;
        let time = time_of(batch);
        let (day, digits) = (day_path(time), digits(time));
        let (date, clock) = (digits.get(..8)?, digits.get(8..12)?);
        let (number, last) = (base62(batch.number, NUMBER_DIGITS)?, base62(batch.last.0, SEQUENCE_DIGITS)?);
        let name = format!("{account}_CloudTrail_{region}_{date}T{clock}Z_{number}{last}{SUFFIX}");
        Some(format!("{}AWSLogs/{account}/CloudTrail/{region}/{day}/{name}", self.layout.aside(batch)))
    }
}

impl Format for CloudTrail {
    fn encode(&self, batch: &Batch) -> Result<Vec<Object>, Fault> {
        let key = self.key(batch).ok_or_else(|| Fault::refused("the number of the batch or its sequence is too large for a name"))?;
        let mut records = Vec::with_capacity(usize::try_from(batch.bytes).unwrap_or(0) + batch.events.len() + 16);
        records.extend_from_slice(b"{\"Records\":");
        write_array(batch, &mut records);
        records.push(b'}');
        let file = gzip(&records).map_err(|e| Fault::later(format!("a batch cannot be compressed: {e}")))?;
        if let Some(chain) = self.chain.as_ref().filter(|_| *batch.trail == *self.layout.trail) {
            let hash = Sha256::digest(&records).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let times = || batch.events.iter().map(|event| event.event_time);
            let (oldest, newest) = (times().min().map(seconds).unwrap_or_default(), times().max().map(seconds).unwrap_or_default());
            let encoded = LogFile { key: key.clone(), hash, oldest, newest, at: 0, elsewhere: None };
            chain.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(encoded);
        }
        Ok(vec![Object::of_batch(batch, key, file, "application/json")])
    }

    fn folder(&self, trail: &str) -> Option<String> {
        let aside = if *trail == *self.layout.trail { String::new() } else { format!("{trail}/") };
        Some(format!("{aside}AWSLogs/{}/CloudTrail/{}/", self.layout.account, self.layout.region))
    }

    fn since(&self, trail: &str, day: Day) -> Option<String> {
        // Its time is that of its last event, and the day that of its first.
        Some(format!("{}{}", self.folder(trail)?, day_path(day.start())))
    }

    fn mark(&self, key: &str) -> Option<Named> {
        let name = key.rsplit('/').next()?.strip_suffix(SUFFIX)?;
        let rest = name.strip_prefix(&format!("{}_CloudTrail_{}_", self.layout.account, self.layout.region))?;
        let characters = rest.rsplit('_').next().filter(|text| text.len() == NUMBER_DIGITS + SEQUENCE_DIGITS)?;
        let (number, last) = characters.split_at_checked(NUMBER_DIGITS)?;
        Some(Named { number: read_base62(number)?, first: None, last: Sequence(read_base62(last)?) })
    }

    fn due(&self, now: Timestamp) -> Result<Vec<Object>, Fault> {
        let Some(chain) = &self.chain else { return Ok(Vec::new()) };
        let digest = chain.lock().unwrap_or_else(PoisonError::into_inner).0.due(now)?;
        Ok(digest.into_iter().collect())
    }

    fn arrived(&self, objects: &[Object], now: Timestamp) -> Option<Value> {
        let mut chain = self.chain.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let (chain, encoded) = &mut *chain;
        for object in objects {
            if encoded.as_ref().is_some_and(|file| file.key == object.key) {
                chain.take(encoded.take(), now);
            } else {
                chain.settle(&object.key);
            }
        }
        chain.state()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use std::sync::Arc;

    use trail_engine::storage::FileStorage;

    use super::*;
    use crate::trails::keeping::keyring::Keyring;
    use crate::trails::keeping::store::Store;
    use crate::trails::sink::object::sample::batch;

    fn unpacked(object: &Object) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&object.bytes[..]).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_digest_names_the_one_before_with_its_hash_and_signature() {
        let directory = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(Store::new(Arc::new(FileStorage::open(directory.path()).unwrap())));
        let place = Place { endpoint: String::new(), bucket: "b".into(), prefix: String::new(), layout: format().layout };
        let mut chain = Chain::new(place, 60, &keyring, None).unwrap();
        let at = |minute: i64| Timestamp::from_seconds(1_795_000_020 + 60 * minute).unwrap();
        let digests: Vec<Object> = (0..3)
            .map(|minute| {
                let (key, time) = (format!("file-{minute}"), seconds(at(minute)));
                let file = LogFile { key, hash: "ab".into(), oldest: time.clone(), newest: time, at: 0, elsewhere: None };
                chain.take(Some(file), at(minute));
                let digest = chain.due(at(minute + 1)).unwrap().unwrap();
                chain.settle(&digest.key);
                digest
            })
            .collect();
        let said = |digest: &Object| serde_json::from_str::<Value>(&unpacked(digest)).unwrap();
        assert!(said(&digests[0])["previousDigestSignature"].is_null() && said(&digests[0])["previousDigestHashValue"].is_null());
        for pair in digests.windows(2) {
            let (before, digest) = (&pair[0], said(&pair[1]));
            let hash = Sha256::digest(unpacked(before)).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let signature = &before.metadata.iter().find(|(name, _)| name == "signature").unwrap().1;
            assert_eq!((&digest["previousDigestHashValue"], &digest["previousDigestS3Object"]), (&json!(hash), &json!(before.key)));
            assert_eq!(digest["previousDigestSignature"], json!(signature));
            assert_eq!(digest["logFiles"].as_array().unwrap().len(), 1, "{digest}");
        }
    }

    fn format() -> CloudTrail {
        let layout = Layout { trail: "all".into(), account: "123456789012".into(), region: "us-east-1".into() };
        CloudTrail { layout, chain: None }
    }

    #[test]
    fn the_name_says_how_far_the_trail_got_and_the_file_is_as_the_vendors() {
        let batch = batch("all", &["{\"a\":1}", "{ \"b\":2 }"]);
        let made = format().encode(&batch).unwrap();
        assert_eq!(made, format().encode(&batch).unwrap());
        let key = "AWSLogs/123456789012/CloudTrail/us-east-1/2026/11/22/\
                   123456789012_CloudTrail_us-east-1_20261122T1000Z_00000f000000001b.json.gz";
        assert_eq!(made[0].key, key);
        assert_eq!(format().mark(key), Some(Named { number: 41, first: None, last: Sequence(99) }));
        assert!(key.starts_with(&format().folder("all").unwrap()));
        let since = |day: Day| format().since("all", day).unwrap();
        assert!(*since(batch.day) < *key && since(Day(batch.day.0 - 1)) < since(batch.day) && *since(Day(batch.day.0 + 1)) > *key);
        assert_eq!(unpacked(&made[0]), "{\"Records\":[{\"a\":1},{ \"b\":2 }]}");
        for other in ["x.json.gz", "123456789012_CloudTrail_us-east-1_20261122T1000Z_00000f.json.gz", &key.replace("1b.", "-b.")] {
            assert_eq!(format().mark(other), None, "{other}");
        }
    }
}
