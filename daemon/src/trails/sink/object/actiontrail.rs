//! Files as ActionTrail lays them into a bucket:
//! `AliyunLogs/Actiontrail/REGION/2026/11/22/Actiontrail_REGION_20261122100000_1002_COUNT_SIZE_MD5.gz`.
//!
//! A gzip file with a JSON array of events, verbatim. The vendor does not say of what the size and the MD5 are: here they are those of the
//! file as it lies there, so that it can be checked as it is. The MD5 of the bytes makes the name, so that a repeat
//! overwrites itself. Names do not say how far a trail got: that is noted beside them ([`super::owner`]). Limits: events of all regions stand under the one of
//! the definition.

use md5::{Digest as _, Md5};

use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::Order;
use crate::trails::sink::object::format::{Format, FormatKind, Named};
use crate::trails::sink::object::layout::{Layout, day_path, digits, time_of, write_array};
use crate::trails::sink::object::ndjson::gzip;
use crate::trails::sink::object::store::Object;

/// The row for the table of formats.
pub const FORMAT: FormatKind = FormatKind { name: "actiontrail", make };

#[derive(Debug)]
struct ActionTrail(Layout);

fn make(order: &Order<'_>) -> Result<Box<dyn Format>, String> {
    Ok(Box::new(ActionTrail(Layout::of(order)?)))
}

impl Format for ActionTrail {
    fn encode(&self, batch: &Batch) -> Result<Vec<Object>, Fault> {
        let mut array = Vec::with_capacity(usize::try_from(batch.bytes).unwrap_or(0) + batch.events.len() + 2);
        write_array(batch, &mut array);
        let file = gzip(&array).map_err(|e| Fault::later(format!("a batch cannot be compressed: {e}")))?;
        let sum = Md5::digest(&file).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let (region, time) = (&self.0.region, time_of(batch));
        let key = format!(
            "{}AliyunLogs/Actiontrail/{region}/{}/Actiontrail_{region}_{}_1002_{}_{}_{sum}.gz",
            self.0.aside(batch),
            day_path(time),
            digits(time),
            batch.events.len(),
            file.len(),
        );
        Ok(vec![Object::of_batch(batch, key, file, "application/gzip")])
    }

    fn folder(&self, _trail: &str) -> Option<String> {
        None
    }

    fn mark(&self, _key: &str) -> Option<Named> {
        None
    }

    fn makes(&self, key: &str) -> bool {
        key.contains(&format!("AliyunLogs/Actiontrail/{}/", self.0.region))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::trails::sink::object::sample::batch;

    #[test]
    fn the_name_and_the_file_are_as_the_vendor_says() {
        let layout = Layout { trail: "all".into(), account: "1".into(), region: "cn-hangzhou".into() };
        let batch = batch("all", &["{\"a\":1}", "{ \"b\":2 }"]);
        let made = ActionTrail(layout.clone()).encode(&batch).unwrap();
        assert_eq!(made, ActionTrail(layout.clone()).encode(&batch).unwrap());
        let (key, file) = (&made[0].key, &made[0].bytes);
        let parts: Vec<&str> = key.split(['/', '_', '.']).collect();
        assert_eq!(parts[..6], ["AliyunLogs", "Actiontrail", "cn-hangzhou", "2026", "11", "22"], "{key}");
        assert_eq!(parts[6..11], ["Actiontrail", "cn-hangzhou", "20261122100001", "1002", "2"], "{key}");
        assert_eq!((parts[11].parse().ok(), parts[12].len(), parts[13]), (Some(file.len()), 32, "gz"), "{key}");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "[{\"a\":1},{ \"b\":2 }]");
        let aside = ActionTrail(layout).encode(&super::super::sample::batch("all.backfill-1", &["{}"])).unwrap();
        assert!(aside[0].key.starts_with("all.backfill-1/AliyunLogs/"), "{}", aside[0].key);
        let format = ActionTrail(Layout { trail: "all".into(), account: "1".into(), region: "cn-hangzhou".into() });
        assert!(format.makes(key) && !format.makes("all/day=2026-11-22/000000000041-5-99.ndjson.zst"));
    }
}
