//! `kill -9` at every step of flushes, merges, seals, expiry, journal rotation, starts and ends, and of saving how far a trail is (class 5
//! of the fault matrix).
//!
//! No test code is in the product: a tracer kills the process when one of its threads makes its N-th call of a kind, before the call
//! is done. For each thread and kind of call N goes up from 1 until the work is done without a kill, so that every call that changes
//! the directory is a kill point; the moment after a call is the one before the next. Each time another seed gives other events.
//! After a kill `traild verify` finds nothing, and a new start returns what the ledger says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::delivery::{Held, SETTINGS, create, in_folder, owed, wait_until_done};
use trail_tests::load::{Book, Sent, Source};
use trail_tests::scene::{Round, Scene, Template};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::strace::{CHANGES, Strace, obstacle};
use trail_tests::table::{Row, scale, skip, wait_for};

const CLASS: u32 = 5;
const NAME: &str = "kill -9 at every step";
/// How many points are looked at side by side: most of a round is waiting.
const HANDS: usize = 4;

/// What each scene cannot be without: the calls by which it makes its change durable, names it, and clears up behind it.
const POINTS: &[&str] = &[
    "Write pwrite64",
    "Write fdatasync",
    "Flush openat",
    "Flush pwrite64",
    "Flush fdatasync",
    "Flush fsync",
    "Flush rename",
    "Merge openat",
    "Merge pwrite64",
    "Merge fdatasync",
    "Merge fsync",
    "Merge rename",
    "Merge unlink",
    "Expire fdatasync",
    "Expire rename",
    "Expire unlink",
    "Seal openat",
    "Seal pwrite64",
    "Seal fdatasync",
    "Seal fsync",
    "Seal rename",
    "Start openat",
    "Start pwrite64",
    "Start fdatasync",
    "Stop pwrite64",
    "Stop fdatasync",
];

/// One round: whether the process was killed.
fn killed(template: &Template, fault: &str, folder: &Path, row: &Row) -> bool {
    let mut round = template.round(folder);
    let place = format!("{:?}, {fault}", template.scene);
    let killed = play(&mut round, fault, &place);
    if killed {
        row.hit();
        round.verify(&place);
    }
    let server = round.start_again();
    row.judge(round.check(&server), &place);
    row.no_panic(server.log());
    server.kill();
    killed
}

/// Starts, does the work of the scene under the fault, stops. Whether the process was killed.
fn play(round: &mut Round<'_>, fault: &str, place: &str) -> bool {
    let (mut server, strace) = match round.start(fault) {
        Ok(started) => started,
        Err(ended) => {
            assert!(ended.contains("signal: 9"), "{place}: {ended}");
            return true;
        }
    };
    round.work(&mut server, &mut |answer| assert_eq!(answer.status, 429, "{place}: {}", answer.text()), &|| false);
    let log = server.log().to_owned();
    if server.is_alive() {
        server.terminate();
    }
    let status = server.wait();
    assert!(status.success() || status.to_string().contains("signal: 9"), "{status}: {}", fs::read_to_string(log).unwrap());
    drop(strace);
    !status.success()
}

#[test]
fn killed_at_every_step() {
    if let Some(why) = obstacle() {
        return skip(CLASS, NAME, &why);
    }
    let mut random = Random::of_test("points", "killed_at_every_step");
    let folder = tempdir().unwrap();
    let seeds = scale(5, 200);
    let row = Row::begin(CLASS, NAME, 80 * seeds);
    let templates: Vec<Template> = Scene::ALL
        .iter()
        .flat_map(|scene| (0..seeds).map(|seed| (*scene, seed)))
        .map(|(scene, seed)| Template::make(folder.path(), scene, seed, &mut random))
        .collect();
    let work: Vec<(&Template, &str)> = templates.iter().flat_map(|template| CHANGES.map(|call| (template, call))).collect();
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for hand in 0..HANDS {
            let (row, work, next, counts, folder) = (&row, &work, &next, &counts, folder.path().join(format!("hand-{hand}")));
            scope.spawn(move || {
                while let Some((template, call)) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let killed = |n: &u64| killed(template, &format!("{call}:signal=KILL:when={n}"), &folder, row);
                    let points = (1..).take_while(killed).count();
                    *counts.lock().unwrap().entry(format!("{:?} {call}", template.scene)).or_insert(0) += points;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    for (what, points) in &counts {
        println!("{what}: {points} kills");
    }
    // Each seed comes to every one of these at least once: a scene that does not happen is no point.
    for what in POINTS {
        let kills = counts.get(*what).copied().unwrap_or(0) as u64;
        assert!(kills >= seeds, "{what}: {kills} kills of {seeds} at least");
    }
    row.end();
}

/// The calls by which it is kept how far a trail is: under another name, synced, renamed, the directory synced.
const SAVING: [&str; 5] = ["openat", "pwrite64", "fdatasync", "rename", "fsync"];
const TRAIL: &str = "all";

#[test]
fn killed_while_a_position_is_saved() {
    const NAME: &str = "kill -9, position saved";
    if let Some(why) = obstacle() {
        return skip(CLASS, NAME, &why);
    }
    let mut random = Random::of_test("points", "killed_while_a_position_is_saved");
    let seeds = scale(5, 200);
    let row = Row::begin(CLASS, NAME, SAVING.len() as u64 * seeds);
    let work: Vec<(&str, Random)> = (0..seeds).flat_map(|_| SAVING).map(|call| (call, random.fork())).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                while let Some((call, random)) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    saving(call, random.clone(), &row);
                }
            });
        }
    });
    row.end();
}

/// A server is killed before this call of the next time that it saves a position; whoever starts next delivers the rest, and nothing twice.
fn saving(call: &str, random: Random, row: &Row) {
    let folder = tempdir().unwrap();
    let (data, archive) = (folder.path().join("log"), folder.path().join("archive"));
    let mut book = Book::new(Source::new(call, random));
    let mut server = Server::start(&data, &SETTINGS);
    let mut client = server.client();
    let sink = json!({"type": "file", "path": archive, "batch": {"events": 10, "seconds": 0.05}});
    create(&mut client, TRAIL, &[sink]);
    (0..2).for_each(|_| assert!(matches!(book.send(&mut client), Sent::Kept)));
    wait_until_done(&mut client, TRAIL);
    let trails = data.join("trails");
    let files = [trails.clone(), trails.join(format!("{TRAIL}.trail")), trails.join(format!("{TRAIL}.trail.part"))];
    let strace = Strace::attach_all(server.pid(), &format!("{call}:signal=KILL:when=1"), &data, &files);
    wait_for("a position that is saved", || {
        let sent = book.send(&mut client);
        assert!(!matches!(sent, Sent::Refused(_)), "{call}: {sent:?}");
        // What it says when it is gone is not waited for; the state is.
        !server.is_alive()
    });
    assert!(server.wait().to_string().contains("signal: 9"), "{call}");
    drop(strace);
    row.hit();
    let server = Server::start(&data, &SETTINGS);
    let mut client = server.client();
    wait_until_done(&mut client, TRAIL);
    row.judge(book.check(&server), call);
    let held = Held::of(&owed(&mut client), &in_folder(&archive));
    assert!(held.owed > 0, "nothing was owed");
    row.judge(held.exactly_once(), call);
    row.no_panic(server.log());
    server.stop();
    let (code, out, errors) = run(traild().arg("verify").arg("--data-dir").arg(&data));
    assert_eq!(code, 0, "{call}: {out}{errors}");
}
