//! Errors of the system under a running server (classes 6 to 8 of the fault matrix): a call of one of its threads fails with EIO, ENOSPC,
//! EDQUOT or EINTR, once or from then on.
//!
//! While it lasts: the process lives, questions are answered, what cannot be kept is refused with 503 or 507 and a time to come back. A
//! full disk that has room again takes events again by itself; after another error of the journal it takes none until a new start.
//! After a stop and a start without faults the ledger must hold, and `traild verify` finds nothing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
/// How the names of journal files with events begin, other than those of spare ones.
const LIVE_JOURNAL: &str = "journal-0";
/// Batches of a round in which a sync fails; each waits for one at least.
const SYNCED_BATCHES: u64 = 12;
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
            assert!(
                template.scene == Scene::Start && injected(&round.calls(), &round.data) > 0,
                "{place}: no fault, and no start: {ended}"
            );
            assert!(ended.contains("exit status: ") && ended.contains("traild: cannot open the log: "), "{place}: {ended}");
            true
        }
        Ok((mut server, strace)) => play(&mut round, &mut server, strace, &place),
    };
    if injected {
        row.hit();
        afterwards(&round, row, &place);
    }
    injected
}

/// A start without a fault, and what there is then.
fn afterwards(round: &Round<'_>, row: &Row, place: &str) {
    row.no_panic(&round.data.with_extension("log"));
    let server = round.start_again();
    row.judge(round.check(&server), place);
    server.stop();
    round.verify(place);
}

/// The scene under the fault, and what comes after it.
fn play(round: &mut Round<'_>, server: &mut Server, strace: Option<Strace>, place: &str) -> bool {
    let (mut poisoned, mut refusals) = (false, 0);
    let mut refused = |answer: &Answer| {
        is_honest(answer, place);
        refusals += 1;
        poisoned |= is_poisoned(answer);
    };
    let (calls, data) = (round.calls(), round.data.clone());
    let injections = || strace.as_ref().map_or_else(|| injected(&calls, &data), Strace::injected);
    round.work(server, &mut refused, &|| injections() > 0);
    assert!(server.is_alive(), "{place}: {}", server.said());
    let fresh = server.client().json(&format!("/v1/count?{ALWAYS}"))["count"].as_u64();
    assert!(fresh.is_some_and(|count| count >= round.book.ledger.len() as u64), "{place}: {fresh:?} of {}", round.book.ledger.len());
    let injected = injections() > 0;
    let of_events = strace.as_ref().map_or(0, |strace| strace.injected_in(LIVE_JOURNAL));
    let must_refuse = ["pwrite64:error=EIO", "fdatasync:error=EIO"].iter().any(|call| place.contains(call));
    assert!(!must_refuse || of_events == 0 || refusals > 0, "{place}: the journal failed, and every batch was acknowledged");
    drop(strace);
    if poisoned || !resumes(round, server, place) {
        stays_poisoned(round, server, place);
    }
    injected
}

/// A journal that nobody may trust takes nothing until a new start.
fn is_poisoned(answer: &Answer) -> bool {
    answer.status == 503 && answer.code() == "poisoned"
}

/// Whether events are taken again without a fault; if not, the journal had one.
fn resumes(round: &mut Round<'_>, server: &mut Server, place: &str) -> bool {
    let (start, mut client) = (Instant::now(), server.client());
    loop {
        match round.book.send(&mut client) {
            Sent::Kept => return true,
            Sent::Refused(answer) if is_poisoned(&answer) => return false,
            Sent::Refused(answer) => is_honest(&answer, place),
            Sent::Gone(error) => panic!("{place}: {error}"),
        }
        assert!(start.elapsed() < RESUMES, "{place}: no event is taken since the fault is over: {}", server.said());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whatever is sent is refused: the fault is over, what it left is not.
fn stays_poisoned(round: &mut Round<'_>, server: &Server, place: &str) {
    let mut client = server.client();
    for _ in 0..3 {
        match round.book.send(&mut client) {
            Sent::Refused(answer) if is_poisoned(&answer) => is_honest(&answer, place),
            other => panic!("{place}: a poisoned log answers {other:?}"),
        }
    }
}

/// One round: batch after batch until a sync has failed. Where that was one of events, their batch is not acknowledged, and nothing is taken
/// any more; where it was one of a new file, or of the catalog, it is tried again.
fn unsynced(template: &Template, fault: &str, folder: &Path, row: &Row, poisoned: &AtomicU64) -> bool {
    let place = format!("{:?}, {fault}", template.scene);
    let mut round = template.round(folder);
    let (mut server, strace) = round.start(fault).unwrap_or_else(|ended| panic!("{place}: {ended}"));
    let mut client = server.client();
    for _ in 0..SYNCED_BATCHES {
        let sent = round.book.send(&mut client);
        if strace.as_ref().is_some_and(|strace| strace.injected() == 0) {
            assert!(matches!(sent, Sent::Kept), "{place}: {sent:?} without a fault");
            continue;
        }
        if strace.as_ref().is_some_and(|strace| strace.injected_in(LIVE_JOURNAL) > 0) {
            let Sent::Refused(answer) = sent else { panic!("{place}: its sync failed, and it is {sent:?}") };
            assert!(is_poisoned(&answer), "{place}: {answer:?}");
            poisoned.fetch_add(1, Ordering::SeqCst);
            // As long as it fails, and when it would not any more.
            stays_poisoned(&mut round, &server, &place);
            drop(strace);
            stays_poisoned(&mut round, &server, &place);
            assert_eq!(server.client().get("/readyz").status, 503, "{place}");
        } else {
            if let Sent::Refused(answer) = sent {
                is_honest(&answer, &place);
            }
            drop(strace);
            assert!(resumes(&mut round, &mut server, &place), "{place}: poisoned by a file without events");
        }
        assert!(server.is_alive(), "{place}: {}", server.said());
        row.hit();
        server.kill();
        afterwards(&round, row, &place);
        return true;
    }
    false
}

/// Plays the scenes with an error in each kind of call, for its first so many places.
fn sweep(row: &Row, scenes: &[Scene], errors: &[&str], places: u64, random: &mut Random) {
    let folder = tempdir().unwrap();
    let templates: Vec<Template> = scenes.iter().map(|scene| Template::make(folder.path(), *scene, 0, random)).collect();
    let calls = |scene| CHANGES.into_iter().chain((scene == Scene::Start).then_some("pread64"));
    let kinds = templates.iter().flat_map(|template| calls(template.scene).map(move |call| (template, call)));
    let work: Vec<(&Template, &str, &str)> = kinds.flat_map(|(t, call)| errors.iter().map(move |error| (t, call, *error))).collect();
    by_hands(&work, |(template, call, error), hand| {
        let (error, lasting) = error.strip_suffix('+').map_or((*error, ""), |error| (error, "+"));
        let folder = folder.path().join(format!("hand-{hand}"));
        let failed = |n: &u64| failed(template, &format!("{call}:error={error}:when={n}{lasting}"), &folder, row);
        // What is read at a start is read by one kind of call, all of it.
        let places = if *call == "pread64" { 3 * places } else { places };
        (1..=places).take_while(failed).for_each(drop);
    });
}

/// Does all of it, some side by side; each hand has a number.
fn by_hands<T: Sync>(work: &[T], each: impl Fn(&T, usize) + Sync) {
    let (next, each) = (&AtomicUsize::new(0), &each);
    thread::scope(|scope| {
        for hand in 0..HANDS {
            scope.spawn(move || {
                while let Some(one) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    each(one, hand);
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

/// Every sync of the journal that a client waits for, once and from then on.
#[test]
fn a_sync_fails() {
    const NAME: &str = "sync fails on the daemon";
    if let Some(why) = obstacle() {
        return skip(6, NAME, &why);
    }
    let mut random = Random::of_test("faults", "a_sync_fails");
    let row = Row::begin(6, NAME, scale(2 * SYNCED_BATCHES, 40 * SYNCED_BATCHES));
    let folder = tempdir().unwrap();
    let templates: Vec<Template> =
        (0..row.target().div_ceil(2 * SYNCED_BATCHES)).map(|seed| Template::make(folder.path(), Scene::Write, seed, &mut random)).collect();
    let poisoned = AtomicU64::new(0);
    let work: Vec<(&Template, &str)> = templates.iter().flat_map(|template| ["", "+"].map(|lasting| (template, lasting))).collect();
    by_hands(&work, |(template, lasting), hand| {
        let folder = folder.path().join(format!("hand-{hand}"));
        let unsynced = |n: &u64| unsynced(template, &format!("fdatasync:error=EIO:when={n}{lasting}"), &folder, &row, &poisoned);
        (1..).take_while(unsynced).for_each(drop);
    });
    let poisoned = poisoned.into_inner();
    println!("{poisoned} of {} logs were poisoned", row.count());
    assert!(poisoned >= row.target(), "only {poisoned} of {} failed syncs were of events", row.count());
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
