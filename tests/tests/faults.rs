//! Errors of the system under a running server (classes 7 and 8 of the fault matrix): a call of one of its threads fails with EIO, ENOSPC,
//! EDQUOT or EINTR, once or from then on.
//!
//! While it lasts: the process lives, questions are answered, what cannot be kept is refused with 503 or 507 and a time to come back. A
//! full disk that has room again takes events again by itself; after another error of the journal it takes none until a new start.
//! After a stop and a start without faults the ledger must hold, and `traild verify` finds nothing.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use trail_tests::client::Answer;
use trail_tests::fixtures::ALWAYS;
use trail_tests::load::Sent;
use trail_tests::scene::{Round, Scene, Template};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::strace::{CHANGES, Strace, injected, obstacle};
use trail_tests::table::{Row, scale, skip};

const HANDS: usize = 4;
/// How soon after the end of a fault a server takes events again.
const RESUMES: Duration = Duration::from_secs(20);

/// What a refusal under a fault must be.
fn is_honest(answer: &Answer, place: &str) {
    assert!([429, 503, 507].contains(&answer.status), "{place}: {} {}", answer.status, answer.text());
    let wait = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(wait.is_some_and(|seconds| (1..=60).contains(&seconds)), "{place}: come back after {wait:?}: {}", answer.text());
}

/// One round; whether the fault happened.
fn failed(template: &Template, fault: &str, folder: &Path, row: &Row) -> bool {
    let place = format!("{:?}, {fault}", template.scene);
    let mut round = template.round(folder);
    let injected = match round.start(fault) {
        // A start may fail by an error, but says so, and may be tried again.
        Err(ended) => {
            assert!(template.scene == Scene::Start && ended.contains("exit status: ") && ended.contains("traild: "), "{place}: {ended}");
            true
        }
        Ok((mut server, strace)) => play(&mut round, &mut server, strace, &place),
    };
    if injected {
        row.hit();
        row.no_panic(&round.data.with_extension("log"));
        let server = round.start_again();
        row.judge(round.check(&server), &place);
        server.stop();
        round.verify(&place);
    }
    injected
}

/// The scene under the fault, and what comes after it.
fn play(round: &mut Round<'_>, server: &mut Server, strace: Option<Strace>, place: &str) -> bool {
    let mut poisoned = false;
    let mut refused = |answer: &Answer| {
        is_honest(answer, place);
        poisoned |= answer.status == 503;
    };
    let calls = round.calls();
    let injected = || strace.as_ref().map_or_else(|| injected(&calls), Strace::injected) > 0;
    round.work(server, &mut refused, &injected);
    assert!(server.is_alive(), "{place}: {}", server.said());
    let fresh = server.client().json(&format!("/v1/count?{ALWAYS}"))["count"].as_u64();
    assert!(fresh.is_some_and(|count| count >= round.book.ledger.len() as u64), "{place}: {fresh:?} of {}", round.book.ledger.len());
    let injected = injected();
    drop(strace);
    if !poisoned {
        resumes(round, server, place);
    }
    injected
}

/// Without a fault events are taken again, unless the journal had one that nobody may trust.
fn resumes(round: &mut Round<'_>, server: &Server, place: &str) {
    let (start, mut client) = (Instant::now(), server.client());
    loop {
        match round.book.send(&mut client) {
            Sent::Kept => return,
            Sent::Refused(answer) if answer.status == 503 && answer.code() == "poisoned" => return,
            Sent::Refused(answer) => is_honest(&answer, place),
            Sent::Gone(error) => panic!("{place}: {error}"),
        }
        assert!(start.elapsed() < RESUMES, "{place}: no event is taken since the fault is over: {}", server.said());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Plays the scenes with an error in each kind of call, for its first so many places.
fn sweep(row: &Row, scenes: &[Scene], errors: &[&str], places: u64, random: &mut Random) {
    let folder = tempdir().unwrap();
    let templates: Vec<Template> = scenes.iter().map(|scene| Template::make(folder.path(), *scene, 0, random)).collect();
    let kinds = templates.iter().flat_map(|template| CHANGES.map(|call| (template, call)));
    let work: Vec<(&Template, &str, &str)> = kinds.flat_map(|(t, call)| errors.iter().map(move |error| (t, call, *error))).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for hand in 0..HANDS {
            let (work, next, folder) = (&work, &next, folder.path().join(format!("hand-{hand}")));
            scope.spawn(move || {
                while let Some((template, call, error)) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let (error, lasting) = error.strip_suffix('+').map_or((*error, ""), |error| (error, "+"));
                    let failed = |n: &u64| failed(template, &format!("{call}:error={error}:when={n}{lasting}"), &folder, row);
                    (1..=places).take_while(failed).for_each(drop);
                }
            });
        }
    });
}

#[test]
fn a_call_fails() {
    const NAME: &str = "EIO, EINTR on the daemon";
    if let Some(why) = obstacle() {
        return skip(7, NAME, &why);
    }
    let mut random = Random::of_test("faults", "a_call_fails");
    let row = Row::begin(7, NAME, scale(100, 2_000));
    let scenes = [Scene::Write, Scene::Flush, Scene::Merge, Scene::Expire, Scene::Start];
    sweep(&row, &scenes, &["EIO", "EINTR"], scale(2, 40), &mut random);
    row.end();
}

#[test]
fn the_disk_says_that_it_is_full() {
    const NAME: &str = "ENOSPC, EDQUOT on the daemon";
    if let Some(why) = obstacle() {
        return skip(8, NAME, &why);
    }
    let mut random = Random::of_test("faults", "the_disk_says_that_it_is_full");
    let row = Row::begin(8, NAME, scale(30, 600));
    sweep(&row, &[Scene::Write, Scene::Flush, Scene::Merge], &["ENOSPC", "ENOSPC+", "EDQUOT"], scale(1, 20), &mut random);
    row.end();
}
