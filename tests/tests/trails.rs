//! Deliveries of the real binary to sinks that behave badly (class 14 of the fault matrix): slow, refusing, hanging, gone, with answers that are lost or
//! cut, and `kill -9` at random moments. What a trail owes is what the server itself answers to the trail's filter; each event must be
//! in the sink once, in order, or in the dead letters with the reason. Every kind of fault prints what it injected and what came of it.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::tempdir;
use trail_tests::client::Client;
use trail_tests::delivery::{Bench, FILTER, Held, SETTINGS, create, in_folder, owed, send, status, tell, wait_until_done};
use trail_tests::load::{Book, Sent, Source};
use trail_tests::nats::{self, NatsServer};
use trail_tests::putlogs::Signature;
use trail_tests::receiver::{Receiver, Speech, Turn};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::syslogd::Syslogd;
use trail_tests::table::{Row, scale, skip, wait_for};

const HANDS: usize = 3;
const BOTH: [Speech; 2] = [Speech::Webhook, Speech::Elasticsearch];

/// A kind of fault: what it is called, and the turns of the receiver.
type Case = (&'static str, Speech, Vec<Turn>);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What is done to both kinds of sinks, and what to one of them.
fn cases() -> Vec<Case> {
    let good = Turn::Good;
    let status = |status| vec![Turn::Status(status, None), good, Turn::Status(status, None), Turn::Status(status, None)];
    let each = |turn| vec![turn, good, turn, turn];
    let mut cases = Vec::new();
    for speech in BOTH {
        let both: [(&'static str, Vec<Turn>); 14] = [
            ("slow", each(Turn::Slow(millis(300)))),
            ("302", status(302)),
            ("401", status(401)),
            ("403", status(403)),
            ("404", status(404)),
            ("408", status(408)),
            ("413", vec![Turn::Status(413, None), Turn::Status(413, None), good, good, Turn::Status(413, None)]),
            ("429 with Retry-After", each(Turn::Status(429, Some("1")))),
            ("500", status(500)),
            ("503 with a date", each(Turn::Status(503, Some("Thu, 01 Jan 1970 00:00:01 GMT")))),
            ("hang", vec![good, Turn::Hang(millis(30_000)), good, Turn::Hang(millis(30_000))]),
            ("end after the whole body", each(Turn::Cut)),
            ("answer lost", each(Turn::Lost)),
            ("short answer", each(Turn::Short)),
        ];
        cases.extend(both.map(|(name, turns)| (name, speech, turns)));
        cases.push(("400", speech, vec![good, Turn::Status(400, None), good, Turn::Status(400, None)]));
    }
    cases.push(("422", Speech::Webhook, vec![Turn::Status(422, None), good, Turn::Status(422, None)]));
    let es = |name, turn| (name, Speech::Elasticsearch, each(turn));
    cases.extend([
        es("no answer of _bulk", Turn::Garbage),
        es("items with 429", Turn::Items(429)),
        es("items with 503", Turn::Items(503)),
        es("items with 403", Turn::Items(403)),
        es("items with 400", Turn::Items(400)),
        es("an answer over 8 MiB", Turn::Huge),
        ("an answer over 8 MiB", Speech::Webhook, each(Turn::Huge)),
    ]);
    let sls = |name, signature, turn| (name, Speech::Sls(signature), each(turn));
    cases.extend([
        sls("503 ServerBusy", Signature::V1, Turn::Code(503, "ServerBusy")),
        sls("503 ServerBusy", Signature::V4, Turn::Code(503, "ServerBusy")),
        sls("403 ShardWriteQuotaExceed", Signature::V4, Turn::Code(403, "ShardWriteQuotaExceed")),
        sls("401 SignatureNotMatch", Signature::V1, Turn::Code(401, "SignatureNotMatch")),
        sls("404 LogStoreNotExist", Signature::V4, Turn::Code(404, "LogStoreNotExist")),
        sls("400 PostBodyTooLarge", Signature::V4, Turn::Code(400, "PostBodyTooLarge")),
        sls("400 PostBodyInvalid", Signature::V4, Turn::Code(400, "PostBodyInvalid")),
        sls("answer lost", Signature::V4, Turn::Lost),
    ]);
    let otlp = |name, turn| (name, Speech::Otlp, each(turn));
    cases.extend([
        otlp("503 with Retry-After", Turn::Status(503, Some("1"))),
        otlp("short answer", Turn::Short),
        otlp("a part not taken", Turn::Partial),
        otlp("400", Turn::Status(400, None)),
    ]);
    cases
}

/// Whether a receiver that knows no repeats sees one in these turns.
fn may_repeat(speech: Speech, turns: &[Turn]) -> bool {
    let lost = turns.iter().any(|turn| matches!(turn, Turn::Lost | Turn::Short | Turn::Partial));
    lost && matches!(speech, Speech::Sls(_) | Speech::Otlp)
}

fn play(bench: &mut Bench, number: usize, (name, speech, turns): &Case, row: &Row) {
    let class = format!("{speech:?}: {name}");
    let trail = format!("case-{number}");
    let receiver = Receiver::start(*speech, turns);
    let mut client = bench.client();
    create(&mut client, &trail, &[receiver.sink()]);
    bench.send(4);
    wait_for(&class, || receiver.injected() >= turns.iter().filter(|turn| **turn != Turn::Good).count() as u64);
    bench.send(1);
    let is_ordered = !turns.iter().any(|turn| matches!(turn, Turn::Items(_)));
    let mut held = bench.judge(&trail, &receiver, is_ordered);
    if may_repeat(*speech, turns) {
        assert!(held.0.duplicated > 0, "{class}: what was sent again is not there twice");
        held.1 = held.0.at_least_once();
    }
    tell(row, &class, receiver.injected(), held);
    says_what_to_mend(&mut client, &trail, name);
    send(&mut client, "DELETE", &format!("/v1/trails/{trail}"), &json!({}));
}

/// The last error stays on the status page, with what a person can do about it.
fn says_what_to_mend(client: &mut Client, trail: &str, name: &str) {
    let sink = &status(client, trail)[0];
    let told = sink["last_error"].as_str().unwrap_or_default();
    for (of, word, operator) in [
        ("302", "redirects are not followed", true),
        ("401", "the credentials of the sink", true),
        ("403", "may not write there", true),
        ("404", "no such place", true),
        ("500", "answered 500", false),
        ("hang", "no whole answer within 1 s", false),
        // A connection that ends is seen at once, and not when the patience ends.
        ("end after the whole body", "no answer from", false),
        ("answer lost", "no answer from", false),
        ("short answer", "broke off", false),
        ("no answer of _bulk", "does not answer as Elasticsearch does", true),
        ("items with 429", "429: stub: as told", false),
        ("items with 400", "answered 400: stub: as told", true),
        ("403 ShardWriteQuotaExceed", "more shards would help", false),
        ("401 SignatureNotMatch", "the kind of signature is wrong", true),
        ("404 LogStoreNotExist", "must be made first", true),
        ("a part not taken", "did not take 1 of ", true),
    ] {
        if name == of {
            assert!(told.contains(word) && sink["needs_operator"] == operator, "{name}: {sink}");
        }
    }
}

#[test]
fn every_event_arrives_once_whatever_the_sink_does() {
    let mut random = Random::of_test("trails", "every_event_arrives_once");
    let row = Row::begin(14, "sinks that behave badly", 50);
    let (cases, next) = (cases(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for hand in 0..HANDS {
            let (cases, next, row, mut random) = (&cases, &next, &row, random.fork());
            scope.spawn(move || {
                let mut bench = Bench::start(hand, &mut random);
                // Enough for the requests of every script.
                bench.send(20);
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(number) else { break };
                    play(&mut bench, number, case, row);
                }
                row.no_panic(&bench.data.with_extension("log"));
                bench.stop();
            });
        }
    });
    row.end();
}

#[test]
fn sinks_that_are_gone_or_cannot_be_found_get_everything_later() {
    let mut random = Random::of_test("trails", "sinks_that_are_gone");
    let row = Row::begin(14, "sinks that are gone", 8);
    let mut bench = Bench::start("gone", &mut random);
    bench.send(3);
    let mut client = bench.client();
    for speech in BOTH {
        let mut receiver = Receiver::start(speech, &[]);
        let trail = format!("gone-{speech:?}").to_lowercase();
        create(&mut client, &trail, &[receiver.sink()]);
        bench.send(2);
        receiver.go();
        bench.send(3);
        wait_for("a failed attempt", || status(&mut client, &trail)[0]["failed_attempts"].as_u64() >= Some(2));
        let told = status(&mut client, &trail)[0].clone();
        assert!(told["last_error"].as_str().unwrap().contains("cannot connect") && told["lag_events"].as_u64() > Some(0), "{told}");
        receiver.come_back();
        let held = bench.judge(&trail, &receiver, true);
        tell(&row, &format!("{speech:?}: away for a while"), receiver.injected(), held);

        let receiver = Receiver::start(speech, &[]);
        let (trail, mut sink) = (format!("lost-{speech:?}").to_lowercase(), receiver.sink());
        sink["url"] = "http://no-such-host.invalid:9/".into();
        create(&mut client, &trail, &[sink]);
        wait_for("an error", || {
            status(&mut client, &trail)[0]["last_error"].as_str().is_some_and(|e| e.contains("no-such-host.invalid cannot be resolved"))
        });
        let path = format!("/v1/trails/{trail}");
        send(&mut client, "PUT", &path, &json!({"filter": FILTER, "start": "oldest", "sinks": [receiver.sink()]}));
        let held = bench.judge(&trail, &receiver, true);
        tell(&row, &format!("{speech:?}: a name that is not known"), 1, held);
    }
    without_tls(&bench, &row);
    syslog(&mut bench, &row);
    folders(&mut bench, &row);
    bench.stop();
    row.end();
}

/// A service that is to speak TLS and does not.
fn without_tls(bench: &Bench, row: &Row) {
    let (mut client, receiver) = (bench.client(), Receiver::start(Speech::Webhook, &[]));
    let mut sink = receiver.sink();
    sink["url"] = format!("https://{}/in?x=1", receiver.address).into();
    create(&mut client, "tls", &[sink]);
    wait_for("an error", || status(&mut client, "tls")[0]["last_error"].as_str().is_some_and(|e| e.contains("no TLS with 127.0.0.1")));
    send(&mut client, "PUT", "/v1/trails/tls", &json!({"filter": FILTER, "start": "oldest", "sinks": [receiver.sink()]}));
    let held = bench.judge("tls", &receiver, true);
    tell(row, "Webhook: no TLS", 1, held);
}

/// Syslog has no acknowledgement: what is promised is that a receiver that went away between batches gets all of them.
fn syslog(bench: &mut Bench, row: &Row) {
    let (mut client, mut receiver) = (bench.client(), Syslogd::start());
    let sink =
        json!({"type": "syslog", "address": receiver.address.to_string(), "hostname": "h1", "batch": {"events": 10, "seconds": 0.05}});
    create(&mut client, "syslog", &[sink]);
    wait_until_done(&mut client, "syslog");
    // What was written is read, before it goes: what is on its way then is lost with it.
    let so_far = owed(&mut client).len();
    wait_for("what was sent", || receiver.messages().len() >= so_far);
    receiver.go();
    bench.send(2);
    wait_for("a failed attempt", || status(&mut client, "syslog")[0]["last_error"].as_str().is_some_and(|e| e.contains("cannot connect")));
    receiver.come_back();
    wait_until_done(&mut client, "syslog");
    let owed = owed(&mut client);
    wait_for("the last message", || receiver.messages().len() >= owed.len());
    let messages = receiver.messages();
    let event = |message: &String| {
        assert!(
            message.starts_with("<110>1 20") && message.contains("Z h1 traild - event [traild@32473 trail=\"syslog\" sequence=\""),
            "{message}"
        );
        message.split_once("\"] ").unwrap().1.as_bytes().to_vec()
    };
    let held = Held::of(&owed, &messages.iter().map(event).collect::<Vec<_>>());
    tell(row, "syslog: away for a while", 1, (held, held.at_least_once()));
}

/// A folder that is none, and one whose trail has lost its position.
fn folders(bench: &mut Bench, row: &Row) {
    let place = tempdir().unwrap();
    let path = place.path().join("archive");
    fs::write(&path, b"a file").unwrap();
    let sink = json!({"type": "file", "path": path, "batch": {"events": 10, "seconds": 0.05}});
    let mut client = bench.client();
    create(&mut client, "folder", std::slice::from_ref(&sink));
    wait_for("an error", || status(&mut client, "folder")[0]["last_error"].as_str().is_some_and(|e| e.contains("Not a directory")));
    fs::remove_file(&path).unwrap();
    wait_until_done(&mut client, "folder");
    let held = Held::of(&owed(&mut client), &in_folder(&path));
    tell(row, "folder: not a directory", 1, (held, held.exactly_once()));

    let position = bench.data.join("trails/folder.trail");
    bench.restart(|| fs::remove_file(position).unwrap());
    let mut client = bench.client();
    bench.send(3);
    create(&mut client, "folder", &[sink]);
    wait_until_done(&mut client, "folder");
    let held = Held::of(&owed(&mut client), &in_folder(&path));
    tell(row, "folder: position lost", 1, (held, held.exactly_once()));
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut random = Random::of_test("trails", "a_kill_at_any_moment");
    let row = Row::begin(14, "kill -9 while delivering", scale(10, 400));
    let folder = tempdir().unwrap();
    let (data, archive) = (folder.path().join("log"), folder.path().join("archive"));
    let receivers = BOTH.map(|speech| Receiver::start(speech, &[]));
    let mut book = Book::new(Source::new("kill", random.fork()));
    for round in 0..row.target() {
        let server = Server::start(&data, &SETTINGS);
        if round == 0 {
            let file = json!({"type": "file", "path": archive, "batch": {"events": 10, "seconds": 0.05}});
            create(&mut server.client(), "all", &[file, receivers[0].sink(), receivers[1].sink()]);
        }
        for receiver in &receivers {
            let turns = [Turn::Good, Turn::Lost, Turn::Slow(millis(40)), Turn::Short, Turn::Status(503, None)];
            receiver.play(&[*random.pick(&turns), *random.pick(&turns)]);
        }
        let (gone, moment) = (AtomicBool::new(false), millis(20 + random.below(400)));
        thread::scope(|scope| {
            let client = server.client();
            let (book, gone) = (&mut book, &gone);
            scope.spawn(move || load(book, client, gone));
            thread::sleep(moment);
            gone.store(true, Ordering::SeqCst);
            server.kill();
        });
        row.hit();
    }
    let server = Server::start(&data, &SETTINGS);
    let mut client = server.client();
    wait_until_done(&mut client, "all");
    row.judge(book.check(&server), "the log");
    let owed = owed(&mut client);
    let mut sinks = vec![("folder", in_folder(&archive), 0)];
    for (name, receiver) in ["Webhook", "Elasticsearch"].into_iter().zip(&receivers) {
        receiver.look(|taken| {
            assert_eq!(taken.problems, Vec::<String>::new(), "{name}");
            sinks.push((name, taken.events.clone(), taken.repeats));
        });
    }
    for (name, held, repeats) in sinks {
        let held = Held::of(&owed, &held);
        let (kills, Held { owed, lost, duplicated, .. }) = (row.count(), held);
        println!(
            "14 | {name}: kill -9 | {kills} injected | {owed} events | {lost} lost | {duplicated} duplicated | {repeats} repeats recognised"
        );
        row.judge(held.exactly_once(), name);
    }
    row.no_panic(&data.with_extension("log"));
    server.stop();
    row.end();
}

fn load(book: &mut Book, mut client: Client, gone: &AtomicBool) {
    loop {
        match book.send(&mut client) {
            Sent::Kept => {}
            Sent::Refused(answer) => assert_eq!(answer.status, 429, "{}", answer.text()),
            Sent::Gone(error) => {
                assert!(gone.load(Ordering::SeqCst), "the connection broke before the kill: {error}");
                return;
            }
        }
    }
}

#[test]
fn a_real_nats_server_that_restarts_has_every_event_once() {
    const NAME: &str = "NATS server restarted";
    if let Some(why) = nats::obstacle() {
        return skip(14, NAME, &why);
    }
    let mut random = Random::of_test("trails", "a_real_nats_server");
    let row = Row::begin(14, NAME, 3);
    let (mut bench, store) = (Bench::start("nats", &mut random), tempdir().unwrap());
    let mut server = NatsServer::start(store.path());
    bench.send(3);
    let mut client = bench.client();
    let url = format!("nats://{}", server.address);
    let sink =
        json!({"type": "nats", "url": url, "subject": nats::SUBJECT, "timeout_seconds": 2, "batch": {"events": 10, "seconds": 0.05}});
    create(&mut client, "nats", &[sink]);
    wait_for("an error", || {
        status(&mut client, "nats")[0]["last_error"].as_str().is_some_and(|e| e.contains("takes the subject audit.all"))
    });
    server.make_stream();
    for _ in 0..row.target() {
        bench.send(4);
        server.stop();
        bench.send(2);
        wait_for("an error", || status(&mut client, "nats")[0]["failed_attempts"].as_u64() > Some(0));
        server.start_again();
        row.hit();
    }
    wait_until_done(&mut client, "nats");
    let owed = owed(&mut client);
    let held = Held::of(&owed, &server.messages());
    println!(
        "14 | NATS: restarted | {} injected | {} events | {} lost | {} duplicated",
        row.count(),
        owed.len(),
        held.lost,
        held.duplicated
    );
    row.judge(held.exactly_once(), NAME);
    bench.stop();
    row.end();
}

#[test]
fn a_failing_sink_holds_up_no_other_trail() {
    let mut random = Random::of_test("trails", "a_failing_sink");
    let mut bench = Bench::start("beside", &mut random);
    let hang = Receiver::start(Speech::Webhook, &[Turn::Hang(Duration::from_secs(30)); 50]);
    let broken = Receiver::start(Speech::Elasticsearch, &[Turn::Status(500, None); 500]);
    let good = Receiver::start(Speech::Webhook, &[]);
    let mut client = bench.client();
    create(&mut client, "hang", &[hang.sink()]);
    create(&mut client, "broken", &[broken.sink()]);
    create(&mut client, "good", &[good.sink()]);
    bench.send(3);
    wait_for("failures", || hang.injected() > 0 && broken.injected() > 0);
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        bench.send(1);
        wait_until_done(&mut client, "good");
        slowest = slowest.max(start.elapsed());
    }
    println!("the good trail had everything within {slowest:?}; {} and {} attempts failed beside it", hang.injected(), broken.injected());
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    let (_, whole) = bench.judge("good", &good, true);
    assert_eq!(whole, Ok(()));
    assert!(hang.look(|taken| taken.events.is_empty()) && broken.look(|taken| taken.events.is_empty()));
    bench.stop();
}
