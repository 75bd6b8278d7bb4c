//! Trails to a bucket whose store, or the way to it, behaves badly (class 14 of the fault matrix): bytes altered and cut on their way, answers that never come, a busy store,
//! conditions that are not honoured, a store that is away; and a trail whose position is lost or set back.
//!
//! What a trail owes is what the server itself answers to the trail's filter; each event must be in the bucket once, in order, in objects without holes whose SHA-256 is the one
//! that they say.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use trail_tests::client::Client;
use trail_tests::delivery::{Bench, Held, create, owed, send, status, tell, wait_until_done};
use trail_tests::flaky::{Fate, Flaky, Plan};
use trail_tests::moto::Moto;
use trail_tests::seed::Random;
use trail_tests::table::{Row, skip, wait_for};
use trail_tests::wrong::Wrong;

const BUCKET: &str = "audit";
const NAME: &str = "stores that behave badly";
/// What a busy store asks for: longer than any first wait.
const ASKED: Duration = Duration::from_secs(2);

/// Something bad, and what the status says of it.
struct Case {
    name: &'static str,
    /// A header that the store does not get.
    kept: Option<&'static str>,
    plan: Arc<Plan>,
    /// So many times at least.
    times: u64,
    words: &'static str,
}

fn sink(address: SocketAddr) -> Value {
    json!({
        "type": "s3", "bucket": BUCKET, "prefix": "logs", "endpoint": format!("http://{address}"), "region": "us-east-1", "access_key_id": "ak",
        "secret_access_key": "sk", "compression": "none", "batch": {"events": 40, "seconds": 0.05},
    })
}

fn is_put(first: &str) -> bool {
    first.starts_with("PUT ") && first.contains(".ndjson")
}

/// What becomes of the N-th request of some, from 0; the others pass.
fn of_those(those: fn(&str) -> bool, fate: impl Fn(u64) -> Fate + Send + Sync + 'static) -> Arc<Plan> {
    let seen = AtomicU64::new(0);
    Arc::new(move |_, first: &str| if those(first) { fate(seen.fetch_add(1, Ordering::SeqCst)) } else { Fate::Pass })
}

/// The second of every three puts of objects, for the first dozen: each costs a wait.
fn of_puts(fate: Fate) -> Arc<Plan> {
    of_those(is_put, move |n| if n % 3 == 1 && n < 12 { fate.clone() } else { Fate::Pass })
}

fn busy(status: &str, wait: &str) -> Fate {
    let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>";
    Fate::Refuse(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/xml\r\nretry-after: {wait}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn cases() -> Vec<Case> {
    let case = |name, plan, times, words| Case { name, kept: None, plan, times, words };
    let look = |first: &str| first.starts_with("HEAD ") && first.contains(".ndjson");
    let once = |fate: Fate| move |n| if n == 1 { fate.clone() } else { Fate::Pass };
    vec![
        case("bytes altered on their way", of_puts(Fate::Alter("eventName", "eventNamf")), 3, "other than it was sent"),
        case("bytes cut on their way", of_puts(Fate::Cut(7)), 3, "other than it was sent"),
        case("a put that is never answered", of_those(is_put, once(Fate::Hang)), 1, "no answer within 2 s"),
        case("a look that is never answered", of_those(look, once(Fate::Hang)), 1, "no answer within 2 s"),
        case("503 with Retry-After", of_those(is_put, once(busy("503 Slow Down", "2"))), 1, "SlowDown"),
        case("429 with Retry-After", of_those(is_put, once(busy("429 Too Many Requests", "2"))), 1, "SlowDown"),
        Case { kept: Some("if-none-match:"), ..case("conditions ignored, answers lost", of_puts(Fate::LoseAnswer), 6, "") },
    ]
}

/// What a trail owed against what is in the bucket.
fn judged(client: &mut Client, moto: &Moto, trail: &str) -> (Held, Result<(), Wrong>) {
    wait_until_done(client, trail);
    let held = Held::of(&owed(client), &moto.events(BUCKET, &format!("logs/{trail}/")));
    assert!(held.owed > 0, "nothing was owed");
    (held, held.exactly_once())
}

fn play(bench: &mut Bench, moto: &Moto, number: usize, case: Case, row: &Row) {
    let trail = format!("case-{number}");
    let Case { name, kept, plan, times, words } = case;
    let flaky = Flaky::keeping(kept, moto.address, plan);
    let mut client = bench.client();
    let mut sink = sink(flaky.address);
    if words.starts_with("no answer") {
        sink["timeout_seconds"] = 2.into();
    }
    create(&mut client, &trail, &[sink]);
    wait_for(name, || {
        bench.send(1);
        sleep(Duration::from_millis(100));
        flaky.injected() >= times
    });
    bench.send(2);
    let held = judged(&mut client, moto, &trail);
    tell(row, name, flaky.injected(), held);
    let told = status(&mut client, &trail)[0].clone();
    assert!(told["last_error"].as_str().unwrap_or_default().contains(words) && told["lost_events"] == 0, "{name}: {told}");
    if name.ends_with("Retry-After") {
        let came = flaky.came();
        let refused = came.iter().enumerate().filter(|(_, came)| is_put(&came.head)).nth(1).unwrap().0;
        let waited = came[refused + 1].at - came[refused].at;
        assert!(waited >= ASKED, "{name}: asked again after {waited:?}");
    }
    if kept.is_some() {
        // It was found out, and is not asked for any more.
        let asked = flaky.came().iter().filter(|came| is_put(&came.head) && came.head.contains("\nif-none-match:")).count();
        assert_eq!(asked, 0, "{name}");
    }
    send(&mut client, "DELETE", &format!("/v1/trails/{trail}"), &json!({}));
}

/// A store that is not there while events come, and then is.
fn away(bench: &mut Bench, moto: &Moto, row: &Row) {
    let gone = Arc::new(AtomicBool::new(false));
    let plan = gone.clone();
    let flaky = Flaky::before(moto.address, Arc::new(move |_, _| if plan.load(Ordering::SeqCst) { Fate::Close } else { Fate::Pass }));
    let mut client = bench.client();
    create(&mut client, "away", &[sink(flaky.address)]);
    wait_until_done(&mut client, "away");
    gone.store(true, Ordering::SeqCst);
    for failures in 1..4 {
        bench.send(2);
        wait_for("a failed attempt", || status(&mut client, "away")[0]["failed_attempts"].as_u64() >= Some(failures));
    }
    let told = status(&mut client, "away")[0].clone();
    assert!(told["lag_events"].as_u64() > Some(0) && told["needs_operator"] == false && told["next_retry_at"].is_string(), "{told}");
    gone.store(false, Ordering::SeqCst);
    let held = judged(&mut client, moto, "away");
    tell(row, "away for a while", flaky.injected(), held);
}

/// The file of a trail is set back to how it was some batches before, and then removed.
fn position_lost(bench: &mut Bench, moto: &Moto, row: &Row) {
    let (trail, copy) = (bench.data.join("trails/lost.trail"), bench.data.join("copy"));
    create(&mut bench.client(), "lost", &[sink(moto.address)]);
    wait_until_done(&mut bench.client(), "lost");
    fs::copy(&trail, &copy).unwrap();
    // In batches that time cuts, so that they are cut otherwise when they are made again.
    for _ in 0..5 {
        bench.send(1);
        wait_until_done(&mut bench.client(), "lost");
    }
    let before = moto.names(BUCKET);
    bench.restart(|| {
        fs::copy(&copy, &trail).unwrap();
    });
    wait_until_done(&mut bench.client(), "lost");
    assert_eq!(moto.names(BUCKET), before, "objects were made that were there");
    bench.send(3);
    let held = judged(&mut bench.client(), moto, "lost");
    tell(row, "position set back", 1, held);

    bench.restart(|| fs::remove_file(&trail).unwrap());
    bench.send(3);
    create(&mut bench.client(), "lost", &[sink(moto.address)]);
    let held = judged(&mut bench.client(), moto, "lost");
    tell(row, "position lost", 1, held);
}

#[test]
fn every_event_is_in_the_bucket_once_whatever_the_store_does() {
    let Some(moto) = Moto::start() else { return skip(14, NAME, "moto is not installed") };
    moto.make_bucket(BUCKET);
    let mut random = Random::of_test("trails_stores", "every_event_is_in_the_bucket");
    let row = Row::begin(14, NAME, 10);
    let mut bench = Bench::start("stores", &mut random);
    bench.send(8);
    for (number, case) in cases().into_iter().enumerate() {
        play(&mut bench, &moto, number, case, &row);
    }
    away(&mut bench, &moto, &row);
    position_lost(&mut bench, &moto, &row);
    row.no_panic(&bench.data.with_extension("log"));
    bench.stop();
    row.end();
}
