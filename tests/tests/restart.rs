//! The end and the start of a server: it loses nothing, lets nobody else in, and does what its settings say.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::client::{Client, NDJSON};
use trail_tests::fixtures::{ALWAYS, bytes, lines};
use trail_tests::ledger::{Batch, Ledger};
use trail_tests::load::{Book, Sent, Source};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::stranger::processor;

fn event(id: &str, filler: u64) -> Vec<u8> {
    let filler = "y".repeat(usize::try_from(filler).unwrap());
    format!(r#"{{"eventVersion":"1.08","eventID":"{id}","eventTime":"2026-11-20T10:00:00Z","eventName":"X","filler":"{filler}"}}"#)
        .into_bytes()
}

fn batch(random: &mut Random, client: usize, number: u64) -> Batch {
    let ids: Vec<String> = (0..1 + random.below(50)).map(|i| format!("{client}-{number}-{i}")).collect();
    let events = ids.iter().map(|id| event(id, random.below(300))).collect();
    Batch::new(ids, events)
}

/// Sends until the server says no more; what was acknowledged, and what was not answered.
fn load(mut client: Client, mut random: Random, number: usize, stopping: &AtomicBool) -> (Vec<Batch>, Vec<Batch>) {
    let mut promised = Vec::new();
    for count in 0.. {
        let batch = batch(&mut random, number, count);
        match client.send("POST", "/v1/events", &[("content-type", NDJSON)], &batch.body()) {
            Ok(answer) if answer.status == 200 => promised.push(batch),
            Ok(answer) => assert!(answer.status == 429 || (answer.status == 503 && stopping.load(Ordering::SeqCst)), "{}", answer.text()),
            Err(error) => {
                assert!(stopping.load(Ordering::SeqCst), "the connection broke before the end: {error}");
                return (promised, vec![batch]);
            }
        }
    }
    unreachable!("the numbers of batches have no end")
}

#[test]
fn sigterm_under_load_loses_nothing_and_ends_with_0() {
    let mut random = Random::of_test("restart", "sigterm_under_load");
    let folder = tempdir().unwrap();
    for round in 0..5 {
        let data = folder.path().join(format!("log-{round}"));
        let server = Server::start(&data, &[("TRAILD_HEAD_BYTES_MAX", "512KiB"), ("TRAILD_JOURNAL_BYTES", "256KiB")]);
        let stopping = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..3)
            .map(|i| {
                let (client, random, stopping) = (server.client(), random.fork(), stopping.clone());
                thread::spawn(move || load(client, random, i, &stopping))
            })
            .collect();
        thread::sleep(Duration::from_millis(100 + random.below(500)));
        stopping.store(true, Ordering::SeqCst);
        server.terminate();
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{status}");
        let mut ledger = Ledger::default();
        for client in clients {
            let (promised, unknown) = client.join().unwrap();
            promised.into_iter().for_each(|batch| ledger.promised(batch));
            unknown.iter().for_each(|batch| ledger.unknown(batch));
        }
        assert!(!ledger.is_empty(), "the load was no load");
        let server = Server::start(&data, &[]);
        let stored = server.client().pages(&format!("{ALWAYS}&order=asc"), 10_000);
        assert_eq!(ledger.check(&stored), Ok(()), "round {round}");
        server.stop();
    }
}

/// After `kill -9` all events are in the journal alone. Bringing them back takes at most twice the time of the processor that taking them in took,
/// however fast it is: about as much, and a process that begins.
#[test]
fn a_start_after_a_kill_costs_about_what_taking_in_its_events_did() {
    const EVENTS: usize = 40_000;
    let mut random = Random::of_test("restart", "a_start_after_a_kill_costs");
    let folder = tempdir().unwrap();
    let data = folder.path().join("log");
    let settings = [("TRAILD_HEAD_BYTES_MAX", "512MiB"), ("TRAILD_HEAD_AGE_MAX", "1h")];
    let server = Server::start(&data, &settings);
    let mut book = Book::new(Source::new("replayed", random.fork()));
    book.source.events_max = 2_000;
    let (mut client, idle) = (server.client(), processor(server.pid()));
    while book.ledger.len() < EVENTS {
        let sent = book.send(&mut client);
        assert!(matches!(sent, Sent::Kept), "{sent:?}: {}", server.said());
    }
    let taken_in = processor(server.pid()) - idle;
    let stats = client.json("/v1/stats");
    assert_eq!((&stats["segments"], &stats["head_events"]), (&0.into(), &book.ledger.len().into()), "{stats}");
    server.kill();
    let server = Server::start(&data, &settings);
    // It says that it listens once the log is open.
    let (started, ready) = (processor(server.pid()), server.ready);
    println!("{} events: taken in in {taken_in:?} of the processor, started with in {started:?}, ready after {ready:?}", book.ledger.len());
    assert!(started <= 2 * taken_in, "a start took {started:?} of the processor, and taking in the same events {taken_in:?}");
    assert_eq!(book.check(&server), Ok(()));
    server.stop();
}

/// Runs `traild serve` that must end by itself.
fn refused(data: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = traild();
    command.arg("serve").arg("--data-dir").arg(data).args(["--listen", "127.0.0.1:0"]).args(arguments);
    let (code, _, errors) = run(&mut command);
    (code, errors)
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("log");
    let server = Server::start(&data, &[]);
    assert_eq!(server.client().post(NDJSON, &bytes("k8s_audit")).status, 200);
    let (code, errors) = refused(&data, &[]);
    assert_eq!(code, 4, "{errors}");
    assert!(errors.contains("cannot open the log") && (errors.contains("another process") || errors.contains("locked")), "{errors}");
    let mut import = traild();
    import.args(["import", "--data-dir"]).arg(&data).arg(trail_tests::fixtures::path("edge"));
    let (code, _, errors) = run(&mut import);
    assert_eq!(code, 4, "{errors}");
    assert_eq!(server.client().json(&format!("/v1/count?{ALWAYS}"))["count"], lines("k8s_audit").len());
    let address = server.address.to_string();
    let elsewhere = folder.path().join("elsewhere");
    let mut command = traild();
    command.arg("serve").arg("--data-dir").arg(&elsewhere).args(["--listen", &address]);
    let (code, _, errors) = run(&mut command);
    assert!(code == 4 && errors.contains(&format!("cannot listen on {address}")), "{code}: {errors}");
    assert!(!elsewhere.exists(), "a server that cannot listen made a directory");
    server.stop();
    Server::start(&data, &[]).stop();
}

#[test]
fn a_read_only_server_answers_and_changes_nothing() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("log");
    let server = Server::start(&data, &[]);
    assert_eq!(server.client().post(NDJSON, &bytes("gcp_audit")).status, 200);
    server.kill();
    let before = listing(&data);
    let server = Server::start_with(&data, &["--read-only"], &[]);
    let mut client = server.client();
    assert_eq!(client.json(&format!("/v1/count?{ALWAYS}"))["count"], lines("gcp_audit").len());
    assert_eq!(client.get("/readyz").status, 200);
    let answer = client.post(NDJSON, &bytes("edge"));
    assert!(answer.status == 503 && answer.text().contains("open for reading only"), "{} {}", answer.status, answer.text());
    assert_eq!(client.json(&format!("/v1/count?{ALWAYS}"))["count"], lines("gcp_audit").len());
    server.stop();
    assert_eq!(listing(&data), before, "a read-only server changed the directory");
}

/// Every file of a directory with its bytes, at any depth.
fn listing(data: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = Vec::new();
    for path in entries {
        match path.is_dir() {
            true => files.extend(listing(&path)),
            false => files.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

#[test]
fn settings_are_checked_as_a_whole() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("log");
    Server::start_with(&data, &["--retention", "90d"], &[("TRAILD_RETENTION", "nonsense of an environment")].map(|(n, _)| (n, "7d")))
        .stop();
    for (arguments, parts) in [
        (&["--retention", "soon"][..], &["--retention", "soon"][..]),
        (&["--retention", "0s"], &["retention"]),
        (&["--listen-on", "x"], &["--listen-on"]),
        (&["--config", "/no/such/file.toml"], &["/no/such/file.toml"]),
    ] {
        let (code, errors) = refused(&folder.path().join("never"), arguments);
        assert!(code == 2 || code == 4, "{arguments:?}: {code}: {errors}");
        assert!(parts.iter().all(|part| errors.contains(part)), "{arguments:?}: {errors}");
    }
    assert!(!folder.path().join("never").exists(), "a wrong setting made a directory");
    let file = folder.path().join("traild.toml");
    fs::write(&file, "retentoin = \"7d\"\nhead_bytes_max = \"lots\"\n").unwrap();
    let (code, errors) = refused(&data, &["--config", file.to_str().unwrap()]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("did you mean `retention`") && errors.contains("head_bytes_max"), "{errors}");
}

/// Makes a key; its token and the entry for the configuration.
fn key(scopes: &str, id: &str) -> (String, String) {
    let (code, token, errors) = run(traild().args(["key", "create", "--scopes", scopes, "--id", id]));
    assert_eq!(code, 0, "{errors}");
    let entry = &errors[errors.find("[[keys]]").unwrap_or_else(|| panic!("no entry: {errors}"))..];
    (token.trim().to_owned(), entry.to_owned())
}

#[test]
fn keys_from_the_command_line_work_in_the_configuration() {
    let folder = tempdir().unwrap();
    let keys = [("ingest", "writer"), ("query", "reader"), ("admin", "root")].map(|(scopes, id)| key(scopes, id));
    let entries: Vec<&str> = keys.iter().map(|(_, entry)| entry.as_str()).collect();
    let file = folder.path().join("traild.toml");
    fs::write(&file, entries.join("\n")).unwrap();
    assert!(keys.iter().all(|(token, entry)| !entry.contains(token.as_str())), "the configuration holds a token");
    let server = Server::start_with(&folder.path().join("log"), &["--config", file.to_str().unwrap()], &[]);
    assert_eq!(server.client().get("/v1/count").status, 401);
    assert_eq!(server.client().get("/healthz").status, 200);
    let [writer, reader, root] = keys.each_ref().map(|(token, _)| token.as_str());
    for (token, post, get, stats) in [(writer, 200, 403, 403), (reader, 403, 200, 200), (root, 200, 200, 200)] {
        let mut client = server.client().with_key(token);
        assert_eq!(client.post(NDJSON, &bytes("k8s_audit")).status, post, "{token}");
        assert_eq!(client.get("/v1/count").status, get, "{token}");
        let told = client.get("/v1/stats").status;
        assert!(told == stats || (token == reader && told == 403), "{token}: {told}");
    }
    let (code, count, errors) = run(traild().args(["count", "--from", "2000-01-01T00:00:00Z", "--url", &server.url(), "--key", reader]));
    assert_eq!((code, count.trim()), (0, lines("k8s_audit").len().to_string().as_str()), "{errors}");
    let (code, _, errors) = run(traild().args(["count", "--url", &server.url(), "--key", writer]));
    assert_eq!(code, 4, "{errors}");
    server.stop();
}
