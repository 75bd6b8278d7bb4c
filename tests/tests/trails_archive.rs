//! An archive of segments: delivered to a bucket, verified, restored into another directory, and asked there.
//!
//! The oracle is the first server: what the restored directory answers must be what it answered.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use trail_tests::binary::{run, traild};
use trail_tests::client::{JSON, NDJSON};
use trail_tests::fixtures::{ALWAYS, GOOD, bytes};
use trail_tests::flaky::{Fate, Flaky};
use trail_tests::moto::Moto;
use trail_tests::server::Server;
use trail_tests::shelf::{ACCOUNT, ACCOUNT_KEY, BUCKET, Shelf};
use trail_tests::table::wait_for;

/// Heads and segments that are sealed at once.
const SMALL: [(&str, &str); 3] = [("TRAILD_HEAD_BYTES_MAX", "64KiB"), ("TRAILD_SEGMENT_EVENTS_MAX", "1"), ("TRAILD_HEAD_AGE_MAX", "1s")];

type Events = Vec<(u64, Vec<u8>)>;

/// A server with the corpus, all of which is in segments, and a trail of them; what it answers.
fn deliver(data: &Path, sink: serde_json::Value) -> Events {
    let server = Server::start(data, &SMALL);
    let mut client = server.client();
    for name in GOOD {
        assert_eq!(client.post(NDJSON, &bytes(name)).status, 200);
    }
    let trail = json!({"name": "all", "start": "oldest", "sinks": [sink], "start_now": true});
    let answer = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let last = client.json("/v1/trails/all/status")["last_sequence"].clone();
    wait_for("the archive", || client.json("/v1/trails/all/status")["sinks"][0]["position"] == last);
    let mut events = client.pages(ALWAYS, 500);
    server.stop();
    events.sort_unstable();
    events
}

/// Runs a command about an archive; its exit code and what it printed.
fn about(words: &[&str], place: &str, more: &[&str], moto: Option<&Moto>) -> (i32, String) {
    let mut command = traild();
    command.args(words).arg(place).args(more).envs([("AWS_ACCESS_KEY_ID", "ak"), ("AWS_SECRET_ACCESS_KEY", "sk")]);
    if let Some(moto) = moto {
        command.args(["--endpoint", &moto.url()]);
    }
    let (code, output, errors) = run(&mut command);
    (code, format!("{output}{errors}"))
}

fn restored(directory: &Path, place: &str, moto: Option<&Moto>) -> Events {
    let data = directory.join("restored");
    let (code, said) = about(&["restore"], place, &["--data-dir", data.to_str().unwrap()], moto);
    assert_eq!(code, 0, "{said}");
    served(&data)
}

/// What a server says that is open for reading only.
fn served(data: &Path) -> Events {
    let server = Server::start_with(data, &["--read-only"], &[]);
    let mut events = server.client().pages(ALWAYS, 500);
    server.stop();
    events.sort_unstable();
    events
}

#[test]
fn an_archive_in_a_folder_is_verified_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("archive");
    let held = deliver(&directory.path().join("data"), json!({"type": "file", "path": folder, "format": "segments"}));
    let place = folder.join("all");
    let place = place.to_str().unwrap();
    let (code, said) = about(&["archive", "verify"], place, &[], None);
    assert!(code == 0 && said.contains("; 0 problems"), "{code} {said}");
    assert_eq!(restored(directory.path(), place, None), held);
    // A directory that holds something already is left alone.
    let (code, said) = about(&["restore"], place, &["--data-dir", directory.path().join("restored").to_str().unwrap()], None);
    assert!(code == 2 && said.contains("is not empty"), "{code} {said}");

    let day = fs::read_dir(folder.join("all/segments")).unwrap().next().unwrap().unwrap().path();
    let (code, said) = about(&["archive", "list"], place, &["--from", "2200-01-01"], None);
    assert!(code == 0 && said.starts_with("0 segments"), "{code} {said}");
    let file = fs::read_dir(&day).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().unwrap() == "segment").unwrap();
    for (place, more) in [(place, &["--from", "2200-01-01"][..]), (folder.to_str().unwrap(), &[])] {
        let (code, said) = about(&["archive", "verify"], place, more, None);
        assert!(code == 1 && said.contains("there are no segments of these days") && said.contains("; 1 problems"), "{code} {said}");
    }
    let copy = directory.path().join("copy");
    assert_eq!(about(&["archive", "fetch"], place, &["--into", copy.to_str().unwrap()], None).0, 0);
    assert_eq!(fs::read(copy.join(file.file_name().unwrap())).unwrap(), fs::read(&file).unwrap());
    let mut altered = fs::read(&file).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&file, &altered).unwrap();
    let (code, said) = about(&["archive", "verify"], place, &[], None);
    assert!(code == 1 && said.contains("its SHA-256 differs") && said.contains("; 1 problems"), "{code} {said}");
    fs::remove_file(&file).unwrap();
    let (code, said) = about(&["archive", "verify"], place, &[], None);
    assert!(code == 1 && said.contains("it is not there"), "{code} {said}");
    fs::write(day.join("1-2-x.segment"), b"of somebody else").unwrap();
    let (code, said) = about(&["archive", "verify"], place, &[], None);
    assert!(code == 1 && said.contains("no manifest names it"), "{code} {said}");
}

#[test]
fn another_log_stays_out_of_an_archive_and_what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("archive");
    let sink = json!({"type": "file", "path": folder, "format": "segments"});
    deliver(&directory.path().join("data"), sink.clone());
    let place = folder.join("all");
    let place = place.to_str().unwrap();
    // A log begun anew has the same sequences and the same ids.
    let server = Server::start(&directory.path().join("other"), &SMALL);
    let mut client = server.client();
    let trail = json!({"name": "all", "start": "oldest", "sinks": [sink], "start_now": true});
    assert_eq!(client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.to_string().as_bytes()).unwrap().status, 201);
    assert_eq!(client.post(NDJSON, &bytes(GOOD[0])).status, 200);
    wait_for("a refusal", || {
        let status = client.json("/v1/trails/all/status");
        let error = status["sinks"][0]["last_error"].as_str().unwrap_or_default();
        error.contains("another log delivers a trail `all`") && status["sinks"][0]["needs_operator"] == true
    });
    server.stop();
    let (code, said) = about(&["archive", "verify"], place, &[], None);
    assert!(code == 0 && said.contains("; 0 problems"), "{code} {said}");

    let day = fs::read_dir(folder.join("all/segments")).unwrap().next().unwrap().unwrap().path();
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(day.join("manifest.json")).unwrap()).unwrap();
    let gone = manifest["segments"].as_array_mut().unwrap().remove(1);
    assert!(!manifest["segments"][1].is_null(), "too few segments: {manifest}");
    fs::write(day.join("manifest.json"), manifest.to_string()).unwrap();
    fs::remove_file(day.join(gone["file"].as_str().unwrap())).unwrap();
    let (code, said) = about(&["archive", "verify"], place, &[], None);
    let missing = format!("sequences are missing, {} to {}, between", gone["first_sequence"], gone["last_sequence"]);
    assert!(code == 1 && said.contains(&missing) && said.contains("; 1 problems"), "{code} {said}");
}

#[test]
fn an_archive_in_a_bucket_is_verified_and_restored() {
    let Some(moto) = Moto::start() else { return };
    moto.make_bucket("audit");
    let directory = tempfile::tempdir().unwrap();
    // What is altered or cut on its way is sent again, segments, manifests and the owner's file.
    let seen = [const { AtomicU64::new(0) }; 3];
    let plan = move |_: u64, first: &str| match ["traild-owner", ".segment ", "manifest.json "].iter().position(|name| first.contains(name))
    {
        Some(kind) if first.starts_with("PUT ") => match (kind, seen[kind].fetch_add(1, Ordering::SeqCst)) {
            (0, 0) => Fate::Alter("\"log\"", "\"lag\""),
            (1, 0) => Fate::Cut(3),
            (2, 0) => Fate::Alter("\"version\"", "\"versjon\""),
            (2, 2) => Fate::Cut(9),
            _ => Fate::Pass,
        },
        _ => Fate::Pass,
    };
    let flaky = Flaky::before(moto.address, Arc::new(plan));
    let sink = json!({
        "type": "s3", "bucket": "audit", "prefix": "here", "endpoint": format!("http://{}", flaky.address), "access_key_id": "ak", "secret_access_key": "sk",
        "format": "segments",
    });
    let held = deliver(&directory.path().join("data"), sink);
    assert!(flaky.injected() >= 3, "{} came altered", flaky.injected());
    let place = "s3://audit/here/all";
    let (code, said) = about(&["archive", "verify"], place, &[], Some(&moto));
    assert!(code == 0 && said.contains("; 0 problems"), "{code} {said}");
    assert_eq!(restored(directory.path(), place, Some(&moto)), held);
    let (code, said) = about(&["archive", "list"], "s3://other/here/all", &[], Some(&moto));
    assert!(code == 3 && said.contains("create it, or mend `bucket`"), "{code} {said}");
}

/// What the command is told of a store that is no S3, beside the place: its URL, variables and flags.
fn told(shelf: &Shelf) -> (&'static str, Vec<(&'static str, &'static str)>, Vec<String>) {
    let sink = shelf.sink(shelf.address());
    let endpoint = |more: &[&str]| {
        let endpoint = ["--endpoint", sink["endpoint"].as_str().unwrap()];
        endpoint.iter().chain(more).map(|word| (*word).to_owned()).collect()
    };
    match shelf {
        Shelf::Azure(..) => {
            let key = [("AZURE_STORAGE_ACCOUNT", ACCOUNT), ("AZURE_STORAGE_KEY", ACCOUNT_KEY)];
            ("azblob", key.to_vec(), endpoint(&[]))
        }
        Shelf::Google(..) => ("gs", Vec::new(), endpoint(&[])),
        Shelf::Oss(..) => {
            let key = [("OSS_ACCESS_KEY_ID", "AKID"), ("OSS_ACCESS_KEY_SECRET", "the key"), ("OSS_REGION", "cn-hangzhou")];
            ("oss", key.to_vec(), endpoint(&["--set", "path_style=true"]))
        }
    }
}

#[test]
fn archives_in_the_other_stores_are_verified_and_restored() {
    for shelf in [Shelf::azure(), Shelf::google(), Shelf::oss(false)].into_iter().flatten() {
        let directory = tempfile::tempdir().unwrap();
        let mut sink = shelf.sink(shelf.address());
        sink["format"] = "segments".into();
        let held = deliver(&directory.path().join("data"), sink);
        let (scheme, variables, flags) = told(&shelf);
        let place = format!("{scheme}://{BUCKET}/logs/here/all");
        let about = |words: &[&str], more: &[&str]| {
            let mut command = traild();
            command.args(words).arg(&place).args(&flags).args(more).envs(variables.iter().copied());
            let (code, output, errors) = run(&mut command);
            (code, format!("{output}{errors}"))
        };
        let (code, said) = about(&["archive", "verify"], &[]);
        assert!(code == 0 && said.contains("; 0 problems"), "{scheme}: {code} {said}");
        let data = directory.path().join("restored");
        let (code, said) = about(&["restore"], &["--data-dir", data.to_str().unwrap()]);
        assert_eq!(code, 0, "{scheme}: {said}");
        assert_eq!(served(&data), held, "{scheme}");
    }
}
