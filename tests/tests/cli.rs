//! The command line from end to end: events go in from every kind of file, into a server and into a directory, and answers come out
//! with exit codes that mean something.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::fixtures::{GOOD, bytes, lines, path};
use trail_tests::server::Server;

const EVER: [&str; 4] = ["--from", "1700-01-01T00:00:00Z", "--to", "2200-01-01T00:00:00Z"];

/// What a file is packed as.
type Form = (&'static str, fn(&Path) -> Vec<u8>);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn joined(open: &str, lines: &[Vec<u8>], close: &str) -> Vec<u8> {
    [open.as_bytes(), &lines.join(&b",\n"[..]), close.as_bytes()].concat()
}

/// The corpus of ActionTrail in every form that a file can have.
const FORMS: [Form; 5] = [
    ("plain.ndjson", |_| bytes("actiontrail")),
    ("packed.gz", |_| gzip(&bytes("actiontrail"))),
    ("named-wrongly.txt", |_| zstd::stream::encode_all(&bytes("actiontrail")[..], 3).unwrap()),
    ("array.json", |_| joined("[", &lines("actiontrail"), "]\n")),
    ("records.json", |_| joined("{\"Records\":[", &lines("actiontrail"), "]}")),
];

/// The line that sums up an import.
fn summary(errors: &str) -> &str {
    errors.lines().rev().find(|line| line.contains("events accepted")).unwrap_or_else(|| panic!("no summary: {errors}"))
}

fn import(arguments: &[&str], accepted: usize, duplicates: usize) {
    let (code, out, errors) = run(traild().arg("import").args(arguments));
    assert_eq!((code, out.as_str()), (0, ""), "{arguments:?}: {errors}");
    let expected = format!("{accepted} events accepted, {duplicates} duplicates, 0 rejected in ");
    assert!(summary(&errors).starts_with(&expected), "{arguments:?}: {errors}");
}

/// Every form into one target, which has each event once in the end.
fn import_every_form(folder: &Path, target: &[&str]) {
    let count = lines("actiontrail").len();
    for (i, (name, make)) in FORMS.iter().enumerate() {
        let file = folder.join(name);
        fs::write(&file, make(&file)).unwrap();
        let arguments = [&[file.to_str().unwrap()], target].concat();
        import(&arguments, if i == 0 { count } else { 0 }, if i == 0 { 0 } else { count });
    }
    import(&[&[folder.to_str().unwrap()], target].concat(), 0, count * FORMS.len());
    let mut command = traild();
    command.args(["import", "-"]).args(target).stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes("actiontrail")).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    assert!(summary(&errors).starts_with(&format!("0 events accepted, {count} duplicates")), "{errors}");
}

#[test]
fn every_form_goes_into_a_server_once() {
    let folder = tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    import_every_form(&files, &["--url", &server.url()]);
    server.stop();
}

#[test]
fn every_form_goes_into_a_directory_once_and_a_server_finds_it() {
    let folder = tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let data = folder.path().join("log");
    import_every_form(&files, &["--data-dir", data.to_str().unwrap()]);
    let server = Server::start(&data, &[]);
    let (code, out, _) = ask(&server, &["search", "--order", "asc"], &EVER);
    assert_eq!(code, 0);
    let mut found: Vec<&[u8]> = out.lines().map(str::as_bytes).collect();
    let mut sent = lines("actiontrail");
    found.sort_unstable();
    sent.sort_unstable();
    assert_eq!(found, sent);
    server.stop();
}

/// Asks a server by a command.
fn ask(server: &Server, command: &[&str], more: &[&str]) -> (i32, String, String) {
    run(traild().args(command).args(more).args(["--url", &server.url()]))
}

#[test]
fn rejected_events_are_named_and_the_others_kept() {
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let rejects = folder.path().join("rejects.ndjson");
    let mixed = folder.path().join("mixed.ndjson");
    let good = &lines("cloudtrail")[..3];
    let text = [&good[0][..], b"{\"a\":}", &good[1], b"[1]", b"{\"b\":1 2}", &good[2]].join(&b'\n');
    fs::write(&mixed, text).unwrap();
    let arguments = ["import", mixed.to_str().unwrap(), "--rejects", rejects.to_str().unwrap()];
    let (code, _, errors) = ask(&server, &arguments, &[]);
    assert_eq!(code, 5, "{errors}");
    assert!(errors.contains("mixed.ndjson"), "{errors}");
    let named: Vec<Value> = fs::read_to_string(&rejects).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(named.len() >= 2, "{named:?}");
    assert!(named.iter().all(|r| r["file"].is_string() && r["line"].is_u64() && r["message"].is_string()), "{named:?}");
    let (code, out, _) = ask(&server, &["count"], &EVER);
    assert_eq!((code, out.as_str()), (0, "3\n"));
    server.stop();
}

/// What `import` says of the corpus of bad lines: the summary, and each line with its reason.
#[test]
fn every_bad_line_is_rejected_alone_with_its_number_and_a_reason() {
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let data = folder.path().join("directory");
    let file = path("bad").display().to_string();
    let wrong: Vec<usize> = (1..).zip(lines("bad")).filter(|(_, line)| !line.is_empty()).map(|(n, _)| n).collect();
    for target in [&["--url", &server.url()], &["--data-dir", data.to_str().unwrap()]] {
        let (code, out, errors) = run(traild().args(["import", &file]).args(target));
        assert_eq!((code, out.as_str()), (5, ""), "{errors}");
        assert!(summary(&errors).starts_with("0 events accepted, 0 duplicates, 44 rejected in "), "{errors}");
        let mut told = Vec::new();
        for line in errors.lines().filter_map(|line| line.strip_prefix(&format!("rejected: {file}:"))) {
            let (number, rest) = line.split_once(" (byte ").unwrap();
            assert!(rest.split_once("): ").is_some_and(|(_, reason)| reason.len() > 5), "{line}");
            told.push(number.parse::<usize>().unwrap());
        }
        told.sort_unstable();
        assert_eq!(told, wrong, "{errors}");
    }
    let (code, out, _) = ask(&server, &["count"], &EVER);
    assert_eq!((code, out.as_str()), (1, "0\n"));
    server.stop();
}

#[test]
fn questions_have_answers_and_exit_codes() {
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[("TRAILD_HEAD_AGE_MAX", "1s")]);
    let files: Vec<_> = GOOD.iter().map(|name| path(name).display().to_string()).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, _, errors) = ask(&server, &["import"], &files);
    assert_eq!(code, 0, "{errors}");

    let stops = lines("actiontrail").iter().filter(|line| String::from_utf8_lossy(line).contains("\"eventName\":\"StopLogging\"")).count();
    let (code, out, _) = ask(&server, &["count", "event_name:StopLogging", "service:Actiontrail"], &EVER);
    assert!(code == 0 && out.trim() == stops.to_string(), "{code}: {out} of {stops}");
    assert_eq!(ask(&server, &["count", "user:nobody-at-all"], &EVER).0, 1);
    let (code, out, _) = ask(&server, &["count", "--json"], &EVER);
    assert_eq!(code, 0);
    let all = serde_json::from_str::<Value>(&out).unwrap()["count"].as_u64().unwrap();

    let (code, out, _) = ask(&server, &["search", "-event_name:StopLogging", "--limit", "7"], &EVER);
    assert_eq!((code, out.lines().count()), (0, 7), "{out}");
    let (code, out, _) = ask(&server, &["search", "event_name:StopLogging", "--table", "--fields", "event_time,event_name"], &EVER);
    assert!(code == 0 && out.lines().next().is_some_and(|line| line.contains("EVENT_NAME")), "{code}: {out}");
    assert_eq!(ask(&server, &["search", "user:nobody-at-all"], &EVER), (1, String::new(), String::new()));
    let (code, _, errors) = ask(&server, &["count", "user=nobody-at-all"], &EVER);
    assert!(code == 1 && errors.contains("is written user:nobody-at-all"), "{code}: {errors}");
    let (code, out, errors) = ask(&server, &["search", "--fields", "usr"], &EVER);
    assert!(code == 2 && out.is_empty() && errors.contains("did you mean `user`"), "{code}: {errors}");
    let (code, _, errors) = ask(&server, &["search", "--limit", "1", "--fields", "user,requestParameters.buketName"], &EVER);
    assert!(code == 0 && errors.ends_with("no value in any of these events: requestParameters.buketName\n"), "{code}: {errors}");
    let days = ["count", "event_time:[2026-11-15 TO 2026-11-22}"];
    assert_eq!(ask(&server, &days, &EVER), ask(&server, &["count"], &["--from", "2026-11-15", "--to", "2026-11-22"]));
    let (code, out, _) = ask(&server, &["terms", "requestParameters.bucketName", "--limit", "1"], &EVER);
    assert!(code == 0 && out.contains("distinct in"), "{code}: {out}");
    let (code, _, errors) = ask(&server, &["search", "usr:alice"], &EVER);
    assert!(code == 4 && errors.contains("did you mean `user`"), "{code}: {errors}");

    let (code, out, _) = ask(&server, &["terms", "event_name", "--json", "--limit", "3"], &EVER);
    let terms: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && terms["terms"].as_array().unwrap().len() == 3, "{code}: {out}");
    assert!(terms["total"].as_u64().unwrap() <= all);
    let (code, out, _) = ask(&server, &["terms", "event_name"], &EVER);
    assert!(code == 0 && out.contains("distinct in"), "{code}: {out}");
    assert_eq!(ask(&server, &["terms", "event_name", "user:nobody-at-all"], &EVER).0, 1);

    let week = ["--from", "2026-11-15T00:00:00Z", "--to", "2026-11-22T00:00:00Z"];
    let (code, out, _) = ask(&server, &["histogram", "--interval", "1d", "--json"], &week);
    let buckets: Value = serde_json::from_str(&out).unwrap();
    let counts: Vec<u64> = buckets["buckets"].as_array().unwrap().iter().map(|b| b["count"].as_u64().unwrap()).collect();
    let (_, count, _) = ask(&server, &["count"], &week);
    assert_eq!((code, counts.iter().sum::<u64>().to_string()), (0, count.trim().to_owned()), "{out}");
    assert_eq!(ask(&server, &["histogram", "user:nobody-at-all"], &week).0, 1);

    wait_for_a_segment(&server);
    let (code, out, _) = ask(&server, &["segments"], &[]);
    assert!(code == 0 && out.starts_with("SEGMENT") && out.contains("\n1 segment, "), "{code}: {out}");
    let (code, out, _) = ask(&server, &["segments", "--json"], &[]);
    let held: u64 = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["events"].as_u64().unwrap()).sum();
    assert_eq!((code, held), (0, all), "{out}");
    let (code, out, _) = ask(&server, &["stats", "--json"], &[]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["events"].as_u64()), (0, Some(all)));
    let (code, out, _) = ask(&server, &["stats"], &[]);
    assert!(code == 0 && out.contains("events"), "{code}: {out}");
    server.stop();
}

fn wait_for_a_segment(server: &Server) {
    let mut client = server.client();
    for _ in 0..600 {
        if client.json("/v1/stats")["head_events"] == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the head was not flushed: {}", client.json("/v1/stats"));
}

#[test]
fn tail_shows_what_was_and_what_comes() {
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let k8s = lines("k8s_audit");
    assert_eq!(server.client().post(trail_tests::client::NDJSON, &k8s[..10].join(&b'\n')).status, 200);
    let mut tail = traild();
    tail.args(["tail", "--after", "0", "--url", &server.url()]).stdout(Stdio::piped());
    let mut tail = tail.spawn().unwrap();
    let (sender, receiver) = mpsc::channel();
    let output = BufReader::new(tail.stdout.take().unwrap());
    thread::spawn(move || output.split(b'\n').map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let next = || receiver.recv_timeout(Duration::from_secs(30)).expect("nothing comes");
    assert_eq!((0..10).map(|_| next()).collect::<Vec<_>>(), k8s[..10]);
    assert_eq!(server.client().post(trail_tests::client::NDJSON, &k8s[10..20].join(&b'\n')).status, 200);
    assert_eq!((0..10).map(|_| next()).collect::<Vec<_>>(), k8s[10..20]);
    let status = Command::new("sh").args(["-c", &format!("kill -INT {}", tail.id())]).status().unwrap();
    assert!(status.success());
    assert_eq!(tail.wait().unwrap().code(), Some(130));
    server.stop();
}

#[test]
fn wrong_commands_say_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    for (arguments, expected) in [
        (&["count", "--url", &nobody][..], 3),
        (&["import", "/no/such/file", "--url", &nobody], 2),
        (&["search", "--limit", "many"], 2),
        (&["dance"], 2),
        (&["count", "--url", "ftp://x"], 2),
        (&["--help"], 0),
        (&["import", "--help"], 0),
        (&["--version"], 0),
    ] {
        let (code, out, errors) = run(traild().args(arguments));
        assert_eq!(code, expected, "{arguments:?}: {out}{errors}");
        assert!(!out.is_empty() || !errors.is_empty(), "{arguments:?} said nothing");
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(traild().args(["completions", shell]));
        assert!(code == 0 && out.contains("histogram"), "{shell}");
    }
}
