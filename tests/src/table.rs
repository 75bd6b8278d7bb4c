//! [`Row`]: what a fault class injected into the real process, and what came of it, in the form of the simulator's table.
//!
//! A row counts while its tests run and is said when it ends: on standard output, and in a file of its own under `fault-table/` in the
//! target directory, from which `tests/table` makes the one table. A row that is dropped by a panic says so. Limit: what
//! is found wrong ends its test at once, so that a row never counts more than one thing that is wrong.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::wrong::Wrong;

/// How often a row says how far it is.
const STEPS: u64 = 20;

/// The row of a class, or of a part of one.
#[derive(Debug)]
pub struct Row {
    class: u32,
    name: &'static str,
    target: u64,
    count: AtomicU64,
    lost: AtomicU64,
    altered: AtomicU64,
    panics: AtomicU64,
    start: Instant,
}

impl Row {
    /// A class that is to inject so many faults; `name` says what is injected, in at most 28 characters. [`BUGS`] is no class of the matrix.
    #[must_use]
    pub fn begin(class: u32, name: &'static str, target: u64) -> Row {
        let zero = || AtomicU64::new(0);
        Row { class, name, target, count: zero(), lost: zero(), altered: zero(), panics: zero(), start: Instant::now() }
    }

    /// A fault was injected.
    pub fn hit(&self) {
        self.hits(1);
    }

    /// Several were.
    pub fn hits(&self, faults: u64) {
        let before = self.count.fetch_add(faults, Ordering::SeqCst);
        let count = before + faults;
        let step = self.target.div_ceil(STEPS).max(1);
        // Of few there is nothing to say but the row at the end, unless they take long.
        if before / step != count / step && (self.target >= 100 || std::env::var_os("TRAILD_FAULTS").is_some()) {
            let time = self.start.elapsed().as_secs_f64();
            let left = time / count as f64 * self.target.saturating_sub(count) as f64;
            let Row { class, name, target, .. } = self;
            println!("class {class}, {name}: {count} of {target} after {time:.0} s, about {left:.0} s left");
        }
    }

    /// How many faults there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// How many there are to be.
    #[must_use]
    pub fn target(&self) -> u64 {
        self.target
    }

    /// Takes what the ledger says.
    ///
    /// # Panics
    /// When it says that anything is wrong.
    pub fn judge(&self, found: Result<(), impl Into<Wrong>>, place: &str) {
        let Err(wrong) = found.map_err(Into::into) else { return };
        match &wrong {
            Wrong::Lost(_) => self.lost.fetch_add(1, Ordering::SeqCst),
            Wrong::Altered(_) => self.altered.fetch_add(1, Ordering::SeqCst),
            Wrong::Other(_) => 0,
        };
        panic!("class {}, {place}: {wrong}", self.class);
    }

    /// Takes what a server wrote to its log.
    ///
    /// # Panics
    /// When a thread of it panicked.
    pub fn no_panic(&self, log: &Path) {
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("class {}: {line}", self.class);
        }
    }

    /// Ends the row.
    ///
    /// # Panics
    /// When there were fewer faults than there were to be.
    pub fn end(self) {
        assert!(self.count() >= self.target, "{self}");
    }

    fn is_good(&self) -> bool {
        !thread::panicking() && self.count() >= self.target
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |of: &AtomicU64| of.load(Ordering::SeqCst);
        write!(f, "{:>5} {:<28}", class(self.class), self.name)?;
        let columns = [&self.count, &AtomicU64::new(self.target), &self.lost, &self.altered];
        columns.into_iter().try_for_each(|of| write!(f, "{:>9}", number(of)))?;
        write!(f, "{:>9}{:>9}{:>9.1}", u8::from(!self.is_good()), number(&self.panics), self.start.elapsed().as_secs_f64())?;
        if self.is_good() { Ok(()) } else { write!(f, "  FAILED") }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        say(self.class, self.name, &self.to_string());
    }
}

/// The row of the bugs on purpose, which comes last.
pub const BUGS: u32 = 99;

/// A class as the table has it.
fn class(number: u32) -> String {
    if number == BUGS { "bugs".to_owned() } else { number.to_string() }
}

fn say(class: u32, name: &str, line: &str) {
    println!("{line}");
    let folder = folder();
    let _ = fs::create_dir_all(&folder);
    let file = folder.join(format!("{class:02}-{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")));
    if let Err(error) = fs::write(&file, format!("{line}\n")) {
        eprintln!("{}: {error}", file.display());
    }
}

/// Where the rows are: `TRAIL_FAULT_TABLE`, or `fault-table` in the target directory, in which the running program stands in `debug`.
///
/// # Panics
/// When the program stands elsewhere.
#[must_use]
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("TRAIL_FAULT_TABLE") {
        return PathBuf::from(folder);
    }
    let program = std::env::current_exe().unwrap();
    let profile = program.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release"));
    profile.and_then(Path::parent).expect("a program in a target directory").join("fault-table")
}

/// Says why a class, or a part of one, cannot run here.
///
/// # Panics
/// When `CI=true`: what is not tested there is tested nowhere.
pub fn skip(class: u32, name: &str, why: &str) {
    say(class, name, &format!("{:>5} {name:<28} skipped: {why}", self::class(class)));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "class {class} was skipped: {why}");
}

/// A count: the one of every change; a tenth of it when `TRAILD_FAULTS=quick`; that of a release when it is `long`; so many times the first
/// one, up to that of a release, when it is a number.
///
/// # Panics
/// When it is neither.
#[must_use]
pub fn scale(change: u64, release: u64) -> u64 {
    match std::env::var("TRAILD_FAULTS").as_deref() {
        Err(_) | Ok("") => change,
        Ok("quick") => change.div_ceil(10),
        Ok("long") => release,
        Ok(times) => (change * times.parse::<u64>().expect("TRAILD_FAULTS: quick, long, or a number")).min(release),
    }
}

/// How long a part of a test may take before it is given up: many times what it takes on a machine that has nothing else to do.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Asks until the answer is yes.
///
/// # Panics
/// When it is still no after the patience.
pub fn wait_for(what: &str, mut answer: impl FnMut() -> bool) {
    let start = Instant::now();
    while !answer() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
