//! `traild trail` from end to end: every verb with what it prints, its exit code and what it does, as the server shows it over HTTP; and mistakes, which must be
//! answered with what to do.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::client::Client;
use trail_tests::delivery::{in_folder, post, puts, wait_until_done};
use trail_tests::moto::free_address;
use trail_tests::server::Server;
use trail_tests::table::wait_for;

/// `traild trail` with these words; the exit code, standard output and standard error.
fn trail(server: &Server, words: &[&str]) -> (i32, String, String) {
    run(traild().arg("trail").args(words).args(["--url", &server.url()]))
}

/// The same, which must go well; standard output.
fn good(server: &Server, words: &[&str]) -> String {
    let (code, out, errors) = trail(server, words);
    assert_eq!(code, 0, "{words:?}: {out}{errors}");
    out
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Those of one kind, or all others.
fn of_kind(kind: &str, is_wanted: bool, events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    events.iter().filter(|event| String::from_utf8_lossy(event).contains(kind) == is_wanted).cloned().collect()
}

fn path_of(folder: &Path) -> String {
    format!("path={}", folder.display())
}

#[test]
fn a_trail_is_made_started_watched_changed_stopped_and_removed() {
    let directory = tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let folder = directory.path().join("out");
    let path = path_of(&folder);
    let sent = puts("first", 300, 3);
    post(&mut client, &sent);

    let (code, out, errors) = trail(&server, &["list"]);
    assert!(code == 0 && out == "TRAIL  STATE  SINKS  FILTER\n" && errors.starts_with("there are no trails yet"), "{code}: {out}{errors}");
    let batch = ["--set", "batch.events=50", "--set", "batch.bytes=1000000", "--set", "batch.seconds=0.05"];
    let flags = ["create", "t", "--type", "file", "--set", &path, "--filter", "-event_name:Put0", "--from", "oldest", "--hold-retention"];
    let (code, out, errors) = trail(&server, &[&flags[..], &batch].concat());
    assert!(code == 0 && errors == "it is at rest: `traild trail start t` begins to deliver\n", "{code}: {errors}");
    let shown = client.json("/v1/trails/t");
    assert_eq!(parsed(&out), shown);
    let wanted = json!({
        "name": "t", "filter": "-event_name:Put0", "start": "oldest", "hold_retention": true, "state": "fresh",
        "sinks": [{"type": "file", "path": folder, "batch": {"events": 50, "bytes": 1_000_000, "seconds": 0.05}}],
    });
    assert_eq!(shown, wanted);
    assert_eq!(parsed(&good(&server, &["show", "t"])), wanted);
    assert_eq!(parsed(&good(&server, &["show", "t", "--json"])), wanted);
    let listed = good(&server, &["list"]);
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [["TRAIL", "STATE", "SINKS", "FILTER"], ["t", "fresh", "file", "-event_name:Put0"]]);
    assert_eq!(parsed(&good(&server, &["list", "--json"])), client.json("/v1/trails"));
    assert!(good(&server, &["status", "t"]).starts_with("t: fresh\n"));

    assert_eq!(good(&server, &["test", "t"]), "file: ok\n");
    assert_eq!(
        parsed(&good(&server, &["test", "t", "--json"])),
        json!({"ok": true, "sinks": [{"type": "file", "ok": true, "error": null}]})
    );
    assert_eq!(in_folder(&folder), Vec::<Vec<u8>>::new(), "the test left something behind");

    assert!(good(&server, &["start", "t"]).starts_with("t: enabled\n"));
    wait_until_done(&mut client, "t");
    let wanted = of_kind("Put0", false, &sent);
    assert_eq!(in_folder(&folder.join("t")), wanted);
    let told = good(&server, &["status", "t"]);
    let row: Vec<&str> = told.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(row[..6], ["file", "300", "0", "0", "200", "4"], "{told}");
    assert_eq!(parsed(&good(&server, &["status", "t", "--json"])), client.json("/v1/trails/t/status"));

    let changed = ["change", "t", "--type", "file", "--set", &path, "--set", "batch.seconds=0.05", "--filter", "event_name:Put0"];
    assert_eq!(parsed(&good(&server, &changed)), client.json("/v1/trails/t"));
    let shown = client.json("/v1/trails/t");
    assert!(shown["filter"] == "event_name:Put0" && shown["state"] == "enabled" && shown["hold_retention"] == false, "{shown}");
    let later = puts("later", 30, 3);
    post(&mut client, &later);
    wait_until_done(&mut client, "t");
    let wanted = [wanted, of_kind("Put0", true, &later)].concat();
    assert_eq!(in_folder(&folder.join("t")), wanted);

    assert!(good(&server, &["stop", "t"]).starts_with("t: disabled\n"));
    assert_eq!(client.json("/v1/trails/t")["state"], "disabled");
    assert_eq!(parsed(&good(&server, &["stop", "t", "--json"]))["state"], "disabled");
    assert_eq!(good(&server, &["remove", "t"]), "");
    assert_eq!(client.get("/v1/trails/t").status, 404);
    assert_eq!(in_folder(&folder.join("t")), wanted, "what was delivered stays");
    server.stop();
}

#[test]
fn a_past_range_is_delivered_cancelled_and_gone_on_with() {
    let directory = tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let sent = puts("past", 120, 3);
    post(&mut client, &sent);
    let folder = directory.path().join("out");
    good(&server, &["create", "t", "--type", "file", "--set", &path_of(&folder), "--set", "batch.seconds=0.05", "--start"]);
    assert_eq!(client.json("/v1/trails/t")["state"], "enabled");
    // A day, and relative to now, as questions have it.
    let job = parsed(&good(&server, &["backfill", "t", "--from", "2026-01-01", "--to", "now+1s"]));
    assert!(job["id"] == 1 && job["last_sequence"] == 120, "{job}");
    wait_for("the job", || good(&server, &["status", "t"]).contains("backfill 1: done, 100 %"));
    assert_eq!(in_folder(&folder.join("t.backfill-1")), sent);
    assert_eq!(in_folder(&folder.join("t")), Vec::<Vec<u8>>::new());

    // A sink that nobody reaches.
    let url = format!("url=http://{}/", free_address());
    good(&server, &["create", "away", "--type", "webhook", "--set", &url, "--start"]);
    good(&server, &["backfill", "away", "--from", "now-1h", "--to", "now+1s", "--json"]);
    let state = |client: &mut Client| client.json("/v1/trails/away/status")["backfills"][0]["state"].clone();
    assert_eq!(state(&mut client), "running");
    assert!(good(&server, &["status", "away"]).contains("backfill 1: running, 0 %"));
    assert_eq!(parsed(&good(&server, &["cancel", "away", "1"]))["state"], "cancelled");
    assert_eq!(state(&mut client), "cancelled");
    assert_eq!(parsed(&good(&server, &["resume", "away", "1", "--json"]))["state"], "running");
    assert_eq!(state(&mut client), "running");
    server.stop();
}

#[test]
fn the_key_of_digests_is_replaced() {
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data, &[]);
    let mut client = server.client();
    let rows = |said: &str| said.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect::<Vec<Vec<_>>>();
    let (code, out, errors) = trail(&server, &["keys"]);
    assert!(
        code == 0 && out.starts_with("FINGERPRINT") && rows(&out).is_empty() && errors.starts_with("there are no keys yet"),
        "{out}{errors}"
    );
    // The first that is asked for is made, as the first digest would; the next takes its place.
    let first = rows(&good(&server, &["rotate-key"]));
    assert!(first.len() == 1 && first[0][2] == "signs", "{first:?}");
    let both = rows(&good(&server, &["rotate-key"]));
    assert!(both.len() == 2 && both[0][..2] == first[0][..2] && both[0][2] != "signs" && both[1][2] == "signs", "{both:?}");
    assert_eq!(rows(&good(&server, &["keys"])), both);
    let shown = client.json("/v1/digest-keys");
    assert_eq!(parsed(&good(&server, &["keys", "--json"])), shown);
    assert!(shown["keys"][0]["retired_at"] == both[0][2] && shown["keys"][1]["fingerprint"] == both[1][0], "{shown}");
    server.stop();
    let file = fs::read_to_string(data.join("trails/digest.keys")).unwrap();
    assert_eq!(file.matches("\"private_key\":null").count(), 1, "{file}");
    let server = Server::start(&data, &[]);
    assert_eq!(server.client().json("/v1/digest-keys"), shown);
    server.stop();
}

#[test]
fn definitions_come_from_files_and_kinds_are_told() {
    let directory = tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    let (file, out) = (directory.path().join("trail.json"), directory.path().join("out"));
    let definition = json!({"start": {"sequence": 7}, "sinks": [{"type": "file", "path": out}, {"type": "file", "path": out.join("b")}]});
    fs::write(&file, definition.to_string()).unwrap();
    good(&server, &["create", "by-file", "--file", file.to_str().unwrap()]);
    let shown = client.json("/v1/trails/by-file");
    assert!(
        shown["state"] == "fresh" && shown["start"] == definition["start"] && shown["sinks"][1]["path"] == out.join("b").to_str().unwrap()
    );
    let mut command = traild();
    command
        .args(["trail", "create", "by-pipe", "--file", "-", "--start", "--url", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(definition.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(client.json("/v1/trails/by-pipe")["state"], "enabled");

    // What a flag means is the same as in a definition.
    let key = directory.path().join("key");
    fs::write(&key, "geheim\n").unwrap();
    let (secret, url) = (format!("secret=file:{}", key.display()), format!("url=http://{}/", free_address()));
    let set = ["--set", &secret, "--set", &url, "--set", "headers={\"X-Tenant\":\"audit\"}", "--set", "timeout_seconds=7"];
    good(&server, &[&["create", "hook", "--type", "webhook", "--from", "2026-11-01"], &set[..]].concat());
    let sink = client.json("/v1/trails/hook")["sinks"][0].clone();
    assert_eq!(sink["secret"], json!({"file": key}));
    assert!(sink["timeout_seconds"] == 7 && sink["headers"] == json!({"X-Tenant": "(hidden)"}), "{sink}");
    assert_eq!(client.json("/v1/trails/hook")["start"], "2026-11-01T00:00:00Z");
    good(&server, &["create", "numbered", "--type", "file", "--set", &path_of(&out), "--from", "4711"]);
    assert_eq!(client.json("/v1/trails/numbered")["start"], json!({"sequence": 4711}));
    good(&server, &["create", "lately", "--type", "file", "--set", &path_of(&out), "--from", "now-2d"]);
    assert!(client.json("/v1/trails/lately")["start"].as_str().unwrap().starts_with("20"));

    let told = good(&server, &["kinds"]);
    let kinds = parsed(&good(&server, &["kinds", "--json"]));
    assert!(kinds.as_array().unwrap().len() >= 12, "{kinds}");
    for kind in kinds.as_array().unwrap() {
        let name = kind["type"].as_str().unwrap();
        assert!(told.contains(&format!("{name}: {}\n", kind["doc"].as_str().unwrap())), "{name}");
        for member in kind["members"].as_array().unwrap() {
            assert!(told.contains(&format!("    {}: {} (", member["name"].as_str().unwrap(), member["doc"].as_str().unwrap())), "{member}");
        }
    }
    server.stop();
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let directory = tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    post(&mut client, &puts("e", 3, 3));
    let (text, blocked) = (directory.path().join("text"), directory.path().join("blocked"));
    fs::write(&text, "no JSON").unwrap();
    fs::write(&blocked, "a file where a folder should be").unwrap();
    let text = text.to_str().unwrap();
    good(&server, &["create", "archive", "--type", "file", "--set", "path=/nowhere/archive"]);
    good(&server, &["create", "blocked", "--type", "file", "--set", &path_of(&blocked)]);
    let file = ["create", "x", "--type", "file", "--set", "path=/nowhere/x"];
    let hook = ["create", "x", "--type", "webhook", "--set", "url=http://127.0.0.1:9/"];
    let with = |start: &[&'static str], more: &[&'static str]| [start, more].concat();
    for (words, code, told) in [
        (vec!["create", "x"], 2, "--type <KIND>"),
        (vec!["create", "x", "--type", "file", "--path", "/a"], 2, "the members of a sink are written --set NAME=VALUE"),
        (vec!["create", "x", "--type", "fil", "--set", "path=/a"], 4, "did you mean `file`?"),
        (vec!["create", "x", "--type", "file"], 4, "`path` is missing: the folder, an absolute path"),
        (vec!["create", "x", "--type", "file", "--set", "pth=/a"], 4, "did you mean `path`?"),
        (vec!["create", "x", "--type", "file", "--set", "path"], 2, "`--set path` must be --set NAME=VALUE"),
        (vec!["create", "x", "--type", "file", "--set", "path=archive"], 4, "`path` must be absolute"),
        (with(&file, &["--set", "batch.secs=1"]), 4, "unknown member `batch.secs`"),
        (with(&file, &["--set", "batch.seconds=soon"]), 4, "`batch.seconds` must be a number from 0 to 86400"),
        (with(&file, &["--set", "format=csv"]), 4, "`format` must be one of ndjson"),
        (with(&file, &["--set", "format=segments", "--filter", "user:a"]), 4, "the trail can have no filter"),
        (with(&file, &["--from", "yesterday"]), 4, "`start` must be \"now\", \"oldest\", a time"),
        (with(&file, &["--filter", "usr:alice"]), 4, "did you mean `user`?"),
        (with(&file, &["--filter", "user=alice", "--set", "batch.events=0"]), 4, "the value of a field is written user:alice"),
        (with(&file, &["--file", "trail.json"]), 2, "cannot be used with"),
        (vec!["create", "X", "--type", "file", "--set", "path=/a"], 4, "`name` must be 1 to 64 of a-z"),
        (vec!["create", "x", "--file", "/no/such/file"], 2, "cannot read /no/such/file"),
        (vec!["create", "x", "--file", text], 2, "is no JSON"),
        (
            vec!["create", "archive", "--type", "file", "--set", "path=/a"],
            4,
            "there is a trail `archive` already; change it with `traild trail change`",
        ),
        (vec!["create", "x", "--type", "s3", "--set", "bucket=b"], 4, "`access_key_id` is missing"),
        (with(&hook, &["--set", "secret=env:NO_SUCH_SECRET"]), 4, "the environment variable NO_SUCH_SECRET is not set"),
        (with(&hook, &["--set", "secret=file:/no/such/file"]), 4, "/no/such/file cannot be read"),
        (vec!["change", "archiv", "--type", "file", "--set", "path=/a"], 4, "there is no trail `archiv`; did you mean `archive`?"),
        (vec!["show", "archvie"], 4, "there is no trail `archvie`; did you mean `archive`?"),
        (vec!["status", "archives"], 4, "did you mean `archive`?"),
        (vec!["start", "nothing-like-it"], 4, "there is no trail `nothing-like-it`"),
        (vec!["stop", ""], 4, "there is no trail ``"),
        (vec!["delete", "archves"], 4, "did you mean `archive`?"),
        (vec!["remove", "../archive"], 4, "there is no trail `../archive`"),
        (vec!["test", "blocked"], 4, "a sink does not work"),
        (vec!["backfill", "archive", "--from", "2026-01-01", "--to", "now+1s"], 4, "the trail is not enabled: start it first"),
        (vec!["backfill", "archive", "--from", "2026-01-02", "--to", "2026-01-01"], 4, "`from` must be before `to`"),
        (
            vec!["backfill", "archive", "--from", "2026-01-01", "--to", "2026-01-02"],
            4,
            "nothing that is retained was received in this range",
        ),
        (vec!["backfill", "archive", "--from", "yesterday", "--to", "now"], 4, "`from` must be a time: 2026-11-22T08:00:00Z"),
        (vec!["backfill", "archive", "--from", "2026-01-01"], 2, "--to <TIME>"),
        (vec!["cancel", "archive", "9"], 4, "the trail has no backfill 9"),
        (vec!["resume", "archive", "one"], 2, "invalid digit"),
        (vec!["strat", "archive"], 2, "'start'"),
        (vec![], 2, "Usage: traild trail"),
    ] {
        let (ended, out, errors) = trail(&server, &words);
        assert!(ended == code && errors.contains(told), "{words:?} ended with {ended}: {out}{errors}");
        assert!(!errors.contains("panicked"), "{words:?}: {errors}");
    }
    let (code, out, _) = trail(&server, &["test", "blocked"]);
    assert!(code == 4 && out.starts_with("file: ") && out.contains("Not a directory"), "{out}");
    assert_eq!(client.json("/v1/trails")["trails"].as_array().unwrap().len(), 2, "a mistake made a trail");
    server.stop();
    let nobody = format!("http://{}", free_address());
    let (code, _, errors) = run(traild().args(["trail", "list", "--url", &nobody]));
    assert!(code == 3 && errors.contains("cannot reach"), "{code}: {errors}");
}
