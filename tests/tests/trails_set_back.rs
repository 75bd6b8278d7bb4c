//! A trail whose position is set back, as by an old copy of its file, or lost (class 14): in folders and in the layouts of vendors too each event is there once, and nothing is
//! made again that is there.
//!
//! What a trail owes is what the server itself answers to its filter.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::delivery::{Bench, Held, create, owed, tell, wait_until_done};
use trail_tests::moto::Moto;
use trail_tests::seed::Random;
use trail_tests::table::{Row, skip};

const NAME: &str = "positions set back and lost";
const BUCKET: &str = "audit";
const FORMATS: [&str; 3] = ["ndjson", "cloudtrail", "actiontrail"];

/// A trail, and where its objects are.
struct Place {
    trail: String,
    sink: Value,
    folder: Option<PathBuf>,
}

fn places(root: &Path, moto: &Moto) -> Vec<Place> {
    let mut places = Vec::new();
    for format in FORMATS {
        let folder = root.join(format);
        let sink = json!({"type": "file", "path": folder, "format": format, "batch": {"events": 40, "seconds": 0.05}});
        places.push(Place { trail: format!("folder-{format}"), sink, folder: Some(folder) });
        let sink = json!({
            "type": "s3", "bucket": BUCKET, "prefix": format, "endpoint": moto.url(), "region": "us-east-1", "access_key_id": "ak",
            "secret_access_key": "sk", "format": format, "batch": {"events": 40, "seconds": 0.05},
        });
        places.push(Place { trail: format!("bucket-{format}"), sink, folder: None });
    }
    places
}

/// All files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

impl Place {
    /// The names of objects with events, sorted, with their bytes.
    fn objects(&self, moto: &Moto) -> Vec<(String, Vec<u8>)> {
        let mut objects: Vec<(String, Vec<u8>)> = match &self.folder {
            Some(folder) => files(folder).into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect(),
            None => {
                let prefix = format!("{}/", self.sink["prefix"].as_str().unwrap());
                let names = moto.names(BUCKET).into_iter().filter(|name| name.starts_with(&prefix));
                names.map(|name| (name.clone(), moto.object(BUCKET, &name).body)).collect()
            }
        };
        objects.retain(|(name, _)| !name.contains("traild-owner-"));
        objects.sort();
        objects
    }

    fn names(&self, moto: &Moto) -> Vec<String> {
        self.objects(moto).into_iter().map(|(name, _)| name).collect()
    }

    /// The events that they hold, in the order of the names.
    fn events(&self, moto: &Moto) -> Vec<Vec<u8>> {
        self.objects(moto).iter().flat_map(|(name, bytes)| events(name, bytes)).collect()
    }
}

fn events(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    #[derive(Deserialize)]
    struct Records {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    if name.ends_with(".zst") {
        let lines = zstd::decode_all(bytes).unwrap();
        return lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    }
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    let records =
        if text.starts_with('[') { serde_json::from_str(&text).unwrap() } else { serde_json::from_str::<Records>(&text).unwrap().records };
    records.iter().map(|event| event.get().as_bytes().to_vec()).collect()
}

fn judge(bench: &Bench, places: &[Place], moto: &Moto, row: &Row, what: &str) {
    for place in places {
        wait_until_done(&mut bench.client(), &place.trail);
        let mut held = Held::of(&owed(&mut bench.client()), &place.events(moto));
        // Names of this layout are in no order within a second.
        held.ordered |= place.trail.ends_with("actiontrail");
        tell(row, &format!("{}: {what}", place.trail), 1, (held, held.exactly_once()));
    }
}

#[test]
fn no_event_is_twice_where_a_position_was_set_back_or_lost() {
    let Some(moto) = Moto::start() else { return skip(14, NAME, "moto is not installed") };
    moto.make_bucket(BUCKET);
    let mut random = Random::of_test("trails_set_back", "no_event_is_twice");
    let folder = tempdir().unwrap();
    let places = places(folder.path(), &moto);
    let row = Row::begin(14, NAME, 2 * places.len() as u64);
    let mut bench = Bench::start("set-back", &mut random);
    bench.send(4);
    places.iter().for_each(|place| create(&mut bench.client(), &place.trail, std::slice::from_ref(&place.sink)));
    places.iter().for_each(|place| wait_until_done(&mut bench.client(), &place.trail));
    let kept = |trail: &str| bench.data.join(format!("trails/{trail}.trail"));
    let copies: Vec<(PathBuf, Vec<u8>)> =
        places.iter().map(|place| kept(&place.trail)).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    // In batches that time cuts, so that they are cut otherwise when they are made again.
    for _ in 0..4 {
        bench.send(1);
        places.iter().for_each(|place| wait_until_done(&mut bench.client(), &place.trail));
    }
    let before: Vec<Vec<String>> = places.iter().map(|place| place.names(&moto)).collect();
    bench.restart(|| copies.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap()));
    for (place, before) in places.iter().zip(&before) {
        wait_until_done(&mut bench.client(), &place.trail);
        assert_eq!(place.names(&moto), *before, "{}: objects were made that were there", place.trail);
    }
    bench.send(2);
    judge(&bench, &places, &moto, &row, "position set back");

    bench.restart(|| copies.iter().for_each(|(path, _)| fs::remove_file(path).unwrap()));
    bench.send(2);
    places.iter().for_each(|place| create(&mut bench.client(), &place.trail, std::slice::from_ref(&place.sink)));
    judge(&bench, &places, &moto, &row, "position lost");

    // What was taken away is delivered again to whom asks for all of it: a note of it is not believed.
    let gone = places.iter().find(|place| place.trail == "folder-actiontrail").unwrap();
    bench.restart(|| fs::remove_file(&copies[places.iter().position(|place| place.trail == gone.trail).unwrap()].0).unwrap());
    fs::remove_dir_all(gone.folder.as_ref().unwrap().join("AliyunLogs")).unwrap();
    create(&mut bench.client(), &gone.trail, std::slice::from_ref(&gone.sink));
    judge(&bench, std::slice::from_ref(gone), &moto, &row, "objects taken away");
    row.no_panic(&bench.data.with_extension("log"));
    bench.stop();
    row.end();
}
