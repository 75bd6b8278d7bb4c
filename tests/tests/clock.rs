//! The wall clock of the running server is set, or was while it was away (class 12 of the fault matrix): by a second, by an hour, by 400 days, in
//! either direction. Events stand in the order in which they came, none goes before its time, and the log says when its clock cannot be right.

use std::path::Path;

use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::load::{Book, Sent, Source};
use trail_tests::old_day::segments;
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::table::{Row, scale, skip};
use trail_tests::wall_clock::WallClock;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// By how much the clock is set, in seconds.
const JUMPS: [i64; 6] = [1, -1, HOUR, -HOUR, 400 * DAY, -400 * DAY];
/// From how much on the log says that the clock is ahead (`clock_jump_max`).
const TOLD_FROM: i64 = 26 * HOUR;

/// Small heads and files, so that each part of a life flushes and merges. Events are kept for 30 days.
const SETTINGS: [(&str, &str); 4] = [
    ("TRAILD_HEAD_BYTES_MAX", "64KiB"),
    ("TRAILD_JOURNAL_BYTES", "128KiB"),
    ("TRAILD_SEGMENT_EVENTS_MAX", "2000"),
    ("TRAILD_MERGE_CPU_PERCENT", "100"),
];

/// A time to the second, which is enough to see whose clock it was; later ones sort behind it.
fn second(time: &str) -> String {
    time[..19].to_owned()
}

/// Many times the batches that fill a head.
const BATCHES_MAX: u32 = 2_000;

/// A log under a clock.
struct Life<'a> {
    data: &'a Path,
    clock: &'a mut WallClock,
    book: Book,
    row: &'a Row,
    place: String,
    /// When anything was received last, by whatever clock.
    latest: String,
}

impl Life<'_> {
    fn start(&self) -> Server {
        Server::try_start(self.clock.traild(), self.data, &[], &SETTINGS)
            .unwrap_or_else(|ended| panic!("{}: no server: {ended}", self.place))
    }

    fn kill(&self, server: Server) {
        let process = server.pid();
        server.kill();
        self.clock.clear_up(process);
    }

    /// Sends until a segment more has been flushed, and a batch was received by the clock as it is: within a head receive times do not go
    /// backwards.
    fn goes_on(&mut self, server: &Server) {
        let mut client = server.client();
        let flushed = || server.client().json("/v1/stats")["since_start"]["flushes"].as_u64().unwrap();
        let (before, mut kept, mut is_of_the_clock) = (flushed(), 0, false);
        while kept < 5 || flushed() == before || !is_of_the_clock {
            let from = second(&self.clock.now().to_string());
            match self.book.send(&mut client) {
                Sent::Kept => kept += 1,
                Sent::Refused(answer) if answer.status == 429 => continue,
                other => panic!("{}: {other:?}: {}", self.place, server.said()),
            }
            assert!(kept < BATCHES_MAX, "{}: the clock is at {from}, and nothing is received then: {}", self.place, server.said());
            let to = second(&self.clock.now().to_string());
            let last = &client.json("/v1/stats")["last_sequence"];
            let received = second(client.json(&format!("/v1/sequences/{last}"))["received_at"].as_str().unwrap());
            is_of_the_clock = (&from..=&to).contains(&&received);
            assert!(is_of_the_clock || received <= self.latest, "{}: received at {received}, not {from} to {to}", self.place);
            self.latest = received.max(std::mem::take(&mut self.latest));
        }
    }

    /// All is there, in order, and nothing has gone. A clock that is far ahead is told of, and no other.
    fn is_whole(&self, server: &Server, when: &str, ahead: i64) {
        let place = format!("{}, {when}", self.place);
        self.row.judge(self.book.check(server), &place);
        let stats = server.client().json("/v1/stats");
        assert_eq!(stats["since_start"]["expired_segments"], 0, "{place}: {stats}");
        let told = |problem: &serde_json::Value| problem.as_str().is_some_and(|text| text.contains("ahead of what retention trusts"));
        let problems = stats["problems"].as_array().unwrap();
        let right = if ahead >= TOLD_FROM { problems.len() == 1 && told(&problems[0]) } else { problems.is_empty() };
        assert!(right, "{place}: {problems:?}");
    }
}

/// Sets the clock while the server runs, or while none does; it goes on, is killed and started; then the clock is set right.
fn live(mut life: Life<'_>, jump: i64, is_running: bool) {
    let mut server = life.start();
    life.goes_on(&server);
    life.is_whole(&server, "before", 0);
    if is_running {
        life.clock.set(jump);
    } else {
        life.kill(server);
        life.clock.set(jump);
        server = life.start();
    }
    life.goes_on(&server);
    life.is_whole(&server, "set", jump);
    life.kill(server);
    server = life.start();
    life.goes_on(&server);
    life.is_whole(&server, "started again", jump);
    life.clock.set(0);
    life.goes_on(&server);
    life.is_whole(&server, "set right", 0);
    life.row.no_panic(server.log());
    server.stop();
    assert!(!segments(life.data).is_empty(), "{}: nothing was flushed", life.place);
    let (code, out, errors) = run(traild().arg("verify").arg("--data-dir").arg(life.data));
    assert_eq!(code, 0, "{}: {out}{errors}", life.place);
}

#[test]
fn nothing_is_lost_when_the_wall_clock_is_set() {
    const NAME: &str = "wall clock of the daemon set";
    let folder = tempdir().unwrap();
    let mut clock = match WallClock::new(folder.path()) {
        Ok(clock) => clock,
        Err(why) => return skip(12, NAME, &why),
    };
    let mut random = Random::of_test("clock", "nothing_is_lost");
    let row = Row::begin(12, NAME, scale(2 * JUMPS.len() as u64, 240));
    for round in 0..row.target() {
        let at = usize::try_from(round).unwrap();
        let (jump, is_running) = (JUMPS[at % JUMPS.len()], (at / JUMPS.len()).is_multiple_of(2));
        let place = format!("round {round}: {jump:+} s, {}", if is_running { "running" } else { "away" });
        clock.set(0);
        let data = folder.path().join(format!("log-{round}"));
        let book = Book::new(Source::new(round, random.fork()));
        live(Life { data: &data, clock: &mut clock, book, row: &row, place, latest: String::new() }, jump, is_running);
        row.hit();
    }
    row.end();
}
