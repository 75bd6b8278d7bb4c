//! Power cuts of the real server on a real ext4 (class 2 of the fault matrix): the disk is recorded below the file system while servers
//! start, take events, flush, merge, drop a day and end; then it is made as it may have been after so many requests, without some of the
//! 4 KiB units that no flush had answered for, and a server is started on that.
//!
//! All that was acknowledged before the cut is there, once, byte for byte; nothing that was never sent; `traild verify` finds nothing; new
//! events are taken. After some cuts the recovery itself is recorded, under load, and cut again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use trail_tests::kept::{keep, kept};
use trail_tests::life::{Cut, Life};
use trail_tests::mounts::folder_in_memory;
use trail_tests::power::Replay;
use trail_tests::recorder::{Recorder, ext4};
use trail_tests::seed::Random;
use trail_tests::table::{Row, folder, scale, skip};
use trail_tests::wrong::Wrong;

const CLASS: u32 = 2;
const NAME: &str = "power cuts of a real ext4";
/// How many lives are lived side by side: half of one is waiting for the disk.
const HANDS: usize = 3;
/// How often each is cut.
const CUTS: u64 = 50;
/// One of so many cuts is followed by a second life, which is cut so often.
const AGAIN: u64 = 12;
const CUTS_AGAIN: u64 = 4;

/// Why nothing can be recorded here.
fn obstacle(folder: &Path) -> Option<String> {
    let image = folder.join("try.img");
    ext4(&image, 16 << 20).and_then(|()| Recorder::begin(&image, &folder.join("try"))).err()
}

/// Cuts a life and looks at what is left, again after some of the recoveries. `deep` says that more lives may follow.
fn cut(life: &Life, cuts: &[Cut], deep: bool, row: &Row) {
    let image = life.folder.join("cut.img");
    let mut replay = Replay::begin(&life.recording, &life.folder.join("base.img"), &life.folder.join("durable.img")).unwrap();
    for cut in cuts {
        let (pending, lost) = replay.cut(cut.requests, cut.loss(), &image).unwrap();
        let place = format!("after {} of {} requests, {lost} of {pending} units lost", cut.requests, life.recording.len());
        let settled = life.promised.first().is_some_and(|(requests, _)| *requests <= cut.requests);
        let found = if deep && settled && cut.seed.is_multiple_of(AGAIN) {
            again(life, *cut, &image, row)
        } else {
            life.survives(&image, *cut, &life.folder.join("mounted"))
        };
        row.hit();
        if found.is_err() {
            let _ = say_how_to_repeat(life, *cut);
        }
        row.judge(found, &place);
    }
}

/// The second life after a cut.
fn again(life: &Life, cut: Cut, image: &Path, row: &Row) -> Result<(), Wrong> {
    let folder = life.folder.join("again");
    let second = life.again(image, cut, &folder)?;
    let cuts = second.cuts(CUTS_AGAIN, &mut Random::new(cut.seed));
    self::cut(&second, &cuts, false, row);
    drop(second);
    fs::remove_dir_all(&folder).map_err(|e| Wrong::Other(e.to_string()))
}

fn say_how_to_repeat(life: &Life, cut: Cut) -> Result<(), String> {
    let place = folder().with_file_name(format!("power-{}", cut.seed));
    keep(life, &place)?;
    println!(
        "again: TRAILD_POWER_CUT={}:{}:{} cargo test -p trail-tests --test power -- --nocapture",
        place.display(),
        cut.requests,
        cut.seed
    );
    Ok(())
}

/// The cut that is asked for by what [`say_how_to_repeat`] said.
fn asked() -> Option<(PathBuf, Cut)> {
    let text = std::env::var("TRAILD_POWER_CUT").ok()?;
    let mut words = text.rsplitn(3, ':');
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("TRAILD_POWER_CUT: FOLDER:REQUESTS:SEED");
    let (seed, requests) = (number(), usize::try_from(number()).unwrap());
    Some((words.next().expect("TRAILD_POWER_CUT: FOLDER:REQUESTS:SEED").into(), Cut { requests, seed }))
}

fn repeated(place: &Path, at: Cut) {
    let row = Row::begin(CLASS, "a power cut, again", 1);
    let mut life = kept(place).unwrap();
    let folder = folder_in_memory();
    keep(&life, folder.path()).unwrap();
    life.folder = folder.path().to_owned();
    cut(&life, &[at], true, &row);
    row.end();
}

#[test]
fn power_cuts() {
    if let Some((place, cut)) = asked() {
        return repeated(&place, cut);
    }
    let place = folder_in_memory();
    if let Some(why) = obstacle(place.path()) {
        return skip(CLASS, NAME, &why);
    }
    let mut random = Random::of_test("power", "power_cuts");
    let lives = scale(6, 400);
    let row = Row::begin(CLASS, NAME, lives * CUTS);
    let seeds: Vec<Random> = (0..lives).map(|_| random.fork()).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(mut random) = seeds.get(number).cloned() else { return };
                    let folder = place.path().join(format!("life-{number}"));
                    let life = Life::live(&folder, &format!("life-{number}"), &mut random).unwrap();
                    let (requests, flushes) = (life.recording.len(), life.recording.flushes());
                    let events: usize = life.promised.iter().map(|(_, batch)| batch.events.len()).sum();
                    println!("life {number}: {requests} requests, {flushes} flushes, {events} events promised, {:?}", life.settings);
                    assert!(events > 500 && flushes > 100, "a life without a load");
                    cut(&life, &life.cuts(CUTS, &mut random), true, &row);
                    drop(life);
                    fs::remove_dir_all(&folder).unwrap();
                }
            });
        }
    });
    row.end();
}
