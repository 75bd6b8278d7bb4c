//! [`Run`]: the cases of a class on all cores: counted, judged, and each failure printed with the command that repeats it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::contents::Contents;
use crate::ledger::Verdict;
use crate::progress::Progress;

/// How many failures of a class are printed.
const SHOWN: u64 = 10;
/// One of so many planned cases may turn out to be none.
const UNREACHED_MAX: u64 = 50;
/// How many complaints of one case are printed.
const COMPLAINTS: usize = 6;

/// How many threads have panicked in this process, whoever caught it.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The counts of a release, not of a change.
    pub long: bool,
    /// Of the counts only so much of a hundred.
    pub percent: u64,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Only this case.
    pub point: Option<u64>,
}

/// What became of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases in which a fault was injected.
    pub count: u64,
    /// Acknowledged events that were gone.
    pub lost: u64,
    /// Events that were not what was sent, stood twice, or at another place.
    pub altered: u64,
    /// Cases in which anything was wrong.
    pub wrong: u64,
    /// Panics, of any thread.
    pub panics: u64,
}

/// The cases of a class.
#[derive(Debug)]
pub struct Run {
    /// What is asked for.
    pub scale: Scale,
    class: u32,
    target: AtomicU64,
    unreached: AtomicU64,
    tally: Mutex<Tally>,
    notes: Mutex<BTreeMap<&'static str, u64>>,
    progress: Progress,
    panics_before: u64,
}

impl Run {
    /// A class whose cases are not known yet.
    #[must_use]
    pub fn new(class: u32, scale: Scale) -> Run {
        count_panics();
        let progress = Progress::new(format!("class {class}"));
        Run {
            scale,
            class,
            target: AtomicU64::new(1),
            unreached: AtomicU64::new(0),
            tally: Mutex::default(),
            notes: Mutex::default(),
            progress,
            panics_before: PANICS.load(Ordering::SeqCst),
        }
    }

    /// So many of a release, or what is asked for of them; at least one.
    #[must_use]
    pub fn of_release(&self, count: u64) -> u64 {
        (count * self.scale.percent / 100).max(1)
    }

    /// Says how many cases there are to be. May be said again when more is known.
    pub fn plan(&self, cases: u64) {
        // Those of a release were cut down by `of_release`.
        let cases = if self.scale.long { cases } else { (cases * self.scale.percent).div_ceil(100) };
        self.target.store(cases, Ordering::SeqCst);
        self.progress.expect(cases);
    }

    /// How many cases there are to be; one, where one is asked for. A call that a run without faults had, and no other run has, is no case:
    /// background threads do not come by equally often. More than a few of those are a mistake of the class.
    #[must_use]
    pub fn target(&self) -> u64 {
        if self.scale.point.is_some() { 1 } else { self.planned() - self.unreached().min(self.planned() / UNREACHED_MAX) }
    }

    /// How many cases were planned.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.target.load(Ordering::SeqCst)
    }

    /// How many of them had no fault.
    #[must_use]
    pub fn unreached(&self) -> u64 {
        self.unreached.load(Ordering::SeqCst)
    }

    /// Whether there were enough cases. When one is asked for alone, the end is never reached by counting.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.scale.point.is_none() && self.tally().count >= self.target()
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a case is asked for.
    #[must_use]
    pub fn wants(&self, point: u64) -> bool {
        self.scale.point.is_none_or(|wanted| wanted == point)
    }

    /// Runs a case of a seed. `work` gives its verdict, or `None` when no fault was injected.
    pub fn case(&self, seed: u64, point: u64, what: &dyn Fn() -> String, work: impl FnOnce() -> Option<Verdict>) {
        // A class may say only later how many there are: twice as many as are wanted so far are left out for sure.
        let is_spare = self.scale.percent < 100 && self.scale.point.is_none() && self.tally().count >= 2 * self.target();
        if !self.wants(point) || is_spare {
            return;
        }
        let verdict = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let mut verdict = Verdict::default();
            verdict.wrong(format!("a panic: {}", text_of(&*panic)));
            Some(verdict)
        });
        let Some(verdict) = verdict else {
            self.unreached.fetch_add(1, Ordering::SeqCst);
            return;
        };
        self.progress.step();
        let failures = {
            let mut tally = self.tally();
            tally.count += 1;
            tally.lost += verdict.lost;
            tally.altered += verdict.altered;
            tally.wrong += u64::from(!verdict.is_right());
            tally.wrong
        };
        if !verdict.is_right() && failures <= SHOWN {
            self.show(seed, point, &what(), &verdict);
        }
    }

    fn show(&self, seed: u64, point: u64, what: &str, verdict: &Verdict) {
        eprintln!("\nclass {}, seed {seed}, point {point}: {what}", self.class);
        verdict.wrong.iter().take(COMPLAINTS).for_each(|complaint| eprintln!("  {complaint}"));
        let Scale { percent, .. } = self.scale;
        let counts = if self.scale.long { format!(" --counts long --percent {percent}") } else { String::new() };
        eprintln!("  again: cargo run --release -p trail-sim -- --class {} --seed {seed} --point {point}{counts}", self.class);
    }

    /// Does something for each of some, on so many threads. Most cases wait more than they work.
    pub fn each<T: Sync>(&self, threads: usize, items: &[T], work: impl Fn(&T) + Sync) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        work(item);
                    }
                });
            }
        });
    }

    /// Counts what became of a case, for a line of its own beside the table.
    pub fn note(&self, what: &'static str) {
        *self.notes.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// What the lives of the class contained, and what they must at least: with less, the faults hit nothing worth it. Of a part of the cases there
    /// are too few lives to say.
    pub fn contained(&self, found: Contents, least: Contents) {
        if !found.has(least) && self.scale.point.is_none() && self.scale.percent >= 100 {
            self.tally().wrong += 1;
            eprintln!("\nclass {}: its lives contain {found:?}, and must at least {least:?}", self.class);
        }
    }

    /// Ends the class.
    #[must_use]
    pub fn end(&self) -> (Tally, std::time::Duration) {
        self.progress.end();
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.is_empty() {
            let notes: Vec<String> = notes.iter().map(|(what, count)| format!("{count} {what}")).collect();
            eprintln!("class {}: {}", self.class, notes.join(", "));
        }
        let mut tally = *self.tally();
        tally.panics = PANICS.load(Ordering::SeqCst) - self.panics_before;
        (tally, self.progress.took())
    }
}

/// As many threads as there are cores.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a text").to_owned()
}

/// Sees to it that every panic of the process is counted.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
}
