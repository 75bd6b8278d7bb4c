//! [`Pair`]: a server and its twin, each in a cage of its own, and what becomes of the server in overload while the twin has none.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use crate::cage::Cage;
use crate::crowd::{BatchSize, OpenLoop, Tally, closed_loop};
use crate::goodput::{Course, Taken, Window};
use crate::ledger::Ledger;
use crate::seed::Random;
use crate::server::Server;
use crate::stranger::processor;
use crate::table::wait_for;

/// How many ordinary clients each of the two has.
const CLIENTS: usize = 4;
/// How many segments both must have flushed before anything is measured: what costs from time to time is in every window then.
const FLUSHES_MIN: f64 = 3.0;
/// How many windows each part has.
const WINDOWS: u32 = 5;
/// A window before the overload, and one after it: the first ten seconds, in which the server may take some to come back.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(2);

/// Two servers with the same settings, each with the same share of a core.
#[derive(Debug)]
pub struct Pair {
    /// The one that is judged.
    pub server: Server,
    twin: Server,
    // Cages go after what is in them.
    cages: [Cage; 2],
    percent: u32,
    folder: TempDir,
    /// How many overloads there were: events of each have ids of their own.
    rounds: AtomicU64,
}

/// What the server is given in overload.
#[derive(Debug)]
pub enum Overload {
    /// So many clients, each of which sends on when it is answered or refused.
    Clients(usize),
    /// Senders at planned times, so many times as many requests as are answered before.
    Planned(f64, OpenLoop),
}

/// What became of an overload.
#[derive(Debug)]
pub struct Told {
    /// What was taken, beside the twin.
    pub course: Course,
    /// How many requests a second were answered before.
    pub rate: f64,
    /// How many were begun a second in overload.
    pub begun: f64,
    /// How many were refused in it.
    pub refused: u64,
}

impl Pair {
    /// Starts both, with so many percent of a core each.
    ///
    /// # Errors
    /// Why there can be no cage.
    ///
    /// # Panics
    /// When a server does not start.
    pub fn start(percent: u32, settings: &[(&str, &str)]) -> Result<Pair, String> {
        let (cages, folder) = ([Cage::cpu(percent)?, Cage::cpu(percent)?], tempdir().map_err(|e| e.to_string())?);
        let start = |at: usize, name| Server::try_start(cages[at].traild(), &folder.path().join(name), &[], settings).unwrap();
        let (server, twin) = (start(0, "log"), start(1, "twin"));
        Ok(Pair { server, twin, cages, percent, folder, rounds: AtomicU64::new(0) })
    }

    /// The server's data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Does something for which both have a whole core: ordinary clients go on, and one of two logs that grew alone would cost more by the event.
    ///
    /// # Panics
    /// When the system refuses it.
    pub fn with_a_core<T>(&self, action: impl FnOnce(&Server) -> T) -> T {
        self.cages.iter().for_each(|cage| cage.gives(100).unwrap());
        let done = action(&self.server);
        self.cages.iter().for_each(|cage| cage.gives(self.percent).unwrap());
        done
    }

    /// Kills both; the folder that is left has the log.
    pub fn kill(self) -> TempDir {
        self.server.kill();
        self.twin.kill();
        self.cages.iter().for_each(Cage::wait_until_empty);
        self.folder
    }

    /// Ordinary clients, then too many for so long, then ordinary ones again, on the server; ordinary ones on its twin all the while. `prepare` is called between
    /// the first two, when the peak is known, and what it returns is kept till the end.
    ///
    /// # Panics
    /// When one of the two flushes nothing, or refuses without saying when to come back.
    pub fn overloaded<P>(
        &self,
        overload: Overload,
        time: Duration,
        batch: BatchSize,
        prepare: impl FnOnce() -> P,
        ledger: &mut Ledger,
        random: &mut Random,
    ) -> (Told, P) {
        let ([first, over, after], beside) = (std::array::from_fn(|_| Tally::default()), Tally::of_counts());
        let round = self.rounds.fetch_add(1, Ordering::Relaxed);
        let randoms: [Random; 4] = std::array::from_fn(|_| random.fork());
        let [calm, all] = [(); 2].map(|()| AtomicBool::new(true));
        let tallies = [&first, &over, &after];
        let (told, kept) = thread::scope(|scope| {
            // A panic in here must let the clients end too.
            let _ends = (EndsWith(&calm), EndsWith(&all));
            let ordinary = |server, name: &str, mut random: Random, tally, goes_on| {
                let name = format!("{name}-{round}");
                scope.spawn(move || {
                    closed_loop(server, CLIENTS, &name, batch, &mut random, tally, &|| AtomicBool::load(goes_on, Ordering::Relaxed))
                })
            };
            let [for_twin, for_first, mut for_over, for_after] = randoms;
            ordinary(&self.twin, "twin", for_twin, &beside, &all);
            ordinary(&self.server, "before", for_first, &first, &calm);
            wait_for("flushes of both", || [&self.server, &self.twin].iter().all(|server| counted(server, "flushes") >= FLUSHES_MIN));
            let mut course = Course::default();
            let (windows, length) = self.windows(BEFORE, &tallies, &beside);
            course.before = windows;
            let rate = first.within(&length)[0] as f64 / (length.end - length.start).as_secs_f64();
            let kept = prepare();
            calm.store(false, Ordering::Relaxed);
            let (server, over) = (&self.server, &over);
            scope.spawn(move || match overload {
                Overload::Planned(times, senders) => senders.run(server, times * rate, time, over),
                Overload::Clients(clients) => {
                    let end = Instant::now() + time;
                    closed_loop(server, clients, &format!("over-{round}"), batch, &mut for_over, over, &|| Instant::now() < end);
                }
            });
            course.during = self.windows(time / WINDOWS, &tallies, &beside).0;
            ordinary(&self.server, "after", for_after, &after, &all);
            course.after = self.windows(AFTER, &tallies, &beside).0;
            (Told { course, rate, begun: 0.0, refused: 0 }, kept)
        });
        let [begun, refused] = [&over.begun, &over.refused].map(|count| count.load(Ordering::Relaxed));
        [first, over, after].into_iter().for_each(|tally| tally.into_ledger(ledger));
        (Told { begun: begun as f64 / time.as_secs_f64(), refused, ..told }, kept)
    }

    /// Waits for some windows, and counts what both took in each.
    fn windows(&self, each: Duration, tallies: &[&Tally], beside: &Tally) -> (Vec<Window>, Range<Instant>) {
        let mark = || (Instant::now(), [&self.server, &self.twin].map(|server| processor(server.pid())));
        let begin = mark();
        let mut marks = vec![begin];
        for n in 1..=WINDOWS {
            thread::sleep((begin.0 + each * n).saturating_duration_since(Instant::now()));
            marks.push(mark());
        }
        let window = |pair: &[(Instant, [Duration; 2])]| {
            let (from, to) = (pair[0], pair[1]);
            let events = |tally: &Tally| tally.within(&(from.0..to.0))[1];
            let [mine, its] = [0, 1].map(|of| to.1[of] - from.1[of]);
            let server = Taken { events: tallies.iter().map(|tally| events(tally)).sum(), processor: mine };
            Window { server, twin: Taken { events: events(beside), processor: its } }
        };
        (marks.windows(2).map(window).collect(), begin.0..marks[marks.len() - 1].0)
    }
}

/// Says that it is over when it is dropped.
struct EndsWith<'a>(&'a AtomicBool);

impl Drop for EndsWith<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What a server has counted of its log.
fn counted(server: &Server, name: &str) -> f64 {
    let text = server.client().get("/metrics").text_whole();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("traild_log_{name}_total ")));
    line.unwrap_or_else(|| panic!("no count of {name} in {text}")).parse().unwrap()
}
