//! `kill -9` at every step of flushes, merges, expiry, journal rotation, starts and ends (class 5 of the fault matrix).
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

use tempfile::tempdir;
use trail_tests::scene::{Round, Scene, Template};
use trail_tests::seed::Random;
use trail_tests::strace::{CHANGES, obstacle};
use trail_tests::table::{Row, scale, skip};

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
