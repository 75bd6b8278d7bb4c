//! Shows that the tests catch bugs of durability and of delivery: `cargo run -p trail-tests --bin mutants [-- NAME...]`.
//!
//! The engine and the daemon have places at which a rule can be broken on purpose (`mutants.rs` of each). `tests/mutants.txt` says for each
//! which commands are to catch it. All are built once, the engine's with a feature; then every command must go well without a bug, and with each
//! bug one of its commands must fail. The table says which test it was. A command that finds no end is an outcome of its own: it catches a bug
//! only where the list says `, or hangs` behind it, for a machine that is merely slow would catch them all. Ends with 1 when a bug
//! survives, when a command fails or hangs without one, or when list and sources do not name the same bugs. Says a row of the fault table.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use trail_tests::binary::root;
use trail_tests::house::{Source, sources};
use trail_tests::table::{BUGS, Row};

const LIST: &str = "tests/mutants.txt";
/// The program with the tests of the daemon.
const DAEMON: &str = "traild";
/// A command that takes longer hangs.
const TIME_MAX: Duration = Duration::from_secs(240);
/// Through how many interleavings each model is run.
const SCHEDULES: &str = "8000";
/// How many commands run beside each other.
const LANES: usize = 2;

/// One bug and the commands that are to catch it, the quickest first.
struct Mutant {
    name: String,
    commands: Vec<String>,
}

/// What the list says behind a command that may catch a bug by finding no end.
const MAY_HANG: &str = ", or hangs";

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// All went well.
    Passed,
    /// A test failed: which.
    Failed(String),
    /// There was no end within the time.
    Hung(String),
}

impl Ending {
    /// Whether a command of the list has caught a bug by this.
    fn catches(&self, command: &str) -> bool {
        matches!(self, Ending::Failed(_)) || (matches!(self, Ending::Hung(_)) && command.ends_with(MAY_HANG))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Passed => f.write_str("NOTHING"),
            Ending::Failed(test) => f.write_str(test),
            Ending::Hung(command) => write!(f, "no end after {} s: {command}", TIME_MAX.as_secs()),
        }
    }
}

fn main() -> ExitCode {
    let wanted: BTreeSet<String> = std::env::args().skip(1).collect();
    let mutants = list();
    let mut good = agrees_with_sources(&mutants);
    let mutants: Vec<Mutant> = mutants.into_iter().filter(|m| wanted.is_empty() || wanted.contains(&m.name)).collect();
    let programs = build();
    let begun = Instant::now();
    let clean: BTreeSet<&String> = mutants.iter().flat_map(|mutant| &mutant.commands).collect();
    let clean: Vec<&String> = clean.into_iter().collect();
    for (command, ending) in clean.iter().zip(side_by_side(&clean, |command| run(&programs, command, ""))) {
        if ending != Ending::Passed {
            println!("without a bug, `{command}` fails: {ending}");
            good = false;
        }
    }
    let row = Row::begin(BUGS, "bugs on purpose, caught", mutants.len() as u64);
    println!("{:<38} caught by", "mutant");
    let caught = side_by_side(&mutants, |mutant| {
        let (caught, by) = tried(mutant, |command| run(&programs, command, &mutant.name));
        row.hits(u64::from(caught));
        println!("{:<38} {}{by}", mutant.name, if caught { "" } else { "SURVIVES: " });
        caught
    });
    let survivors = caught.iter().filter(|caught| !**caught).count();
    println!("{} mutants, {} caught, {survivors} survive, {} s", mutants.len(), mutants.len() - survivors, begun.elapsed().as_secs());
    if good && survivors == 0 && !mutants.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries the commands of a bug one after the other; whether one of them caught it, and how that, or the last one, ended.
fn tried(mutant: &Mutant, mut run: impl FnMut(&str) -> Ending) -> (bool, Ending) {
    let mut last = Ending::Passed;
    for command in &mutant.commands {
        let ending = run(command);
        if ending.catches(command) {
            return (true, ending);
        }
        if ending != Ending::Passed {
            last = ending;
        }
    }
    (false, last)
}

/// The list: `name: command; command`, a line each; `#` begins a remark.
fn list() -> Vec<Mutant> {
    let text = std::fs::read_to_string(root().join(LIST)).unwrap();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, commands) = line.split_once(':').unwrap_or_else(|| panic!("{LIST}: `{line}` has no commands"));
            Mutant { name: name.trim().to_owned(), commands: commands.split(';').map(|command| command.trim().to_owned()).collect() }
        })
        .collect()
}

/// Whether the list names each bug of the sources once, and no other.
fn agrees_with_sources(mutants: &[Mutant]) -> bool {
    let sources: Vec<Source> = ["engine/src", "daemon/src"].iter().flat_map(|folder| sources(&root().join(folder))).collect();
    let asked = sources.iter().flat_map(|source| source.text.split("mutants::is(\"").skip(1).filter_map(|rest| rest.split('"').next()));
    let asked: BTreeSet<&str> = asked.collect();
    let listed: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    for name in asked.symmetric_difference(&listed) {
        println!("{name} is not both in {LIST} and in the sources");
    }
    asked == listed && listed.len() == mutants.len()
}

/// Builds everything once; the paths of the programs by name. The packages are the same in both commands for the engine, and in the gate's command
/// for the models, so that cargo chooses the same features for what they stand on; a test of the simulation brings its program along. The daemon's own tests have
/// its bugs in them as they are: those of the gate's build are used, which is one of the whole workspace.
fn build() -> BTreeMap<String, PathBuf> {
    let tests = ["--lib", "--test", "log", "--test", "disk"];
    let models = ["--test", "models", "--features", "trail-engine/models"];
    let engine = ["-p", "trail-engine", "-p", "trail-sim", "--features", "trail-engine/mutants"];
    let mut programs = built(&[&engine[..], &tests].concat());
    programs.extend(built(&[&engine[..], &models].concat()));
    programs.extend(built(&["--workspace", "--lib"]).remove_entry(DAEMON));
    programs
}

/// What `cargo test` builds for these words.
fn built(words: &[&str]) -> BTreeMap<String, PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--no-run", "--locked"]).args(words).args(["--message-format", "json-render-diagnostics"]);
    let output = command.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "cargo: {}", output.status);
    let mut programs = BTreeMap::new();
    for message in output.stdout.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
        if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str()) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    programs
}

/// Runs a command of the list with a bug; its end, or its first failure, whichever is earlier.
fn run(programs: &BTreeMap<String, PathBuf>, command: &str, mutant: &str) -> Ending {
    let mut words = command.strip_suffix(MAY_HANG).unwrap_or(command).split_whitespace();
    let name = words.next().unwrap_or_default();
    let program = match name {
        "engine" => "trail_engine",
        "sim" => "trail-sim",
        "daemon" => DAEMON,
        other => other,
    };
    let path = programs.get(program).unwrap_or_else(|| panic!("{LIST}: `{name}` in `{command}` is no program"));
    let mut process = Command::new(path);
    let folder = if program == DAEMON { "daemon" } else { "engine" };
    process.args(words).current_dir(root().join(folder)).env("TRAIL_MUTANT", mutant).env("PROPTEST_CASES", "96");
    process.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("TRAIL_SCHEDULES", SCHEDULES);
    process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.spawn().unwrap();
    let failed = Arc::new(Mutex::new(None));
    let ran = Arc::new(AtomicBool::new(name == "sim"));
    let readers = [listen(child.stdout.take(), &failed, &ran), listen(child.stderr.take(), &failed, &ran)];
    let status = wait(&mut child, &failed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let test = failed.lock().unwrap().take();
    assert!(ran.load(Ordering::SeqCst) || status.is_none_or(|status| !status.success()), "{LIST}: `{command}` runs no test");
    match (test, status) {
        (Some(test), _) => Ending::Failed(format!("{name}: {test}")),
        (None, None) => Ending::Hung(command.to_owned()),
        (None, Some(status)) if status.success() => Ending::Passed,
        (None, Some(status)) => Ending::Failed(format!("{name}: {status} ({command})")),
    }
}

/// Waits for the end of a process, and ends it when it is known how it will go; `None` when it was ended because it was late.
fn wait(child: &mut Child, failed: &Mutex<Option<String>>) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        let is_late = begun.elapsed() > TIME_MAX;
        if is_late || failed.lock().unwrap().is_some() {
            child.kill().unwrap();
            let status = child.wait().unwrap();
            return (!is_late).then_some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads what a process prints, for the name of the first test that fails.
fn listen(
    pipe: Option<impl std::io::Read + Send + 'static>,
    failed: &Arc<Mutex<Option<String>>>,
    ran: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    let (failed, ran) = (failed.clone(), ran.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(pipe.unwrap()).lines().map_while(Result::ok) {
            ran.fetch_or(line.starts_with("test "), Ordering::SeqCst);
            let test = line.strip_suffix(" ... FAILED").and_then(|line| line.strip_prefix("test "));
            let case = line.split_once("again: cargo run --release -p trail-sim -- ").map(|(_, again)| again);
            if let Some(name) = test.or(case) {
                failed.lock().unwrap().get_or_insert_with(|| name.to_owned());
            }
        }
    })
}

/// What `work` makes of each, in their order.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((at, item)) = Some(next.fetch_add(1, Ordering::SeqCst)).and_then(|at| Some((at, items.get(at)?))) {
                    let result = work(item);
                    done.lock().unwrap().insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(commands: &[&str]) -> Mutant {
        Mutant { name: "m".to_owned(), commands: commands.iter().map(|command| (*command).to_owned()).collect() }
    }

    #[test]
    fn a_hang_catches_only_where_the_list_says_so() {
        let hangs = |command: &str| Ending::Hung(command.to_owned());
        assert!(!tried(&mutant(&["models a"]), hangs).0);
        assert_eq!(tried(&mutant(&["models a", "models b, or hangs"]), hangs), (true, Ending::Hung("models b, or hangs".to_owned())));
        let fails = |_: &str| Ending::Failed("models: a".to_owned());
        assert!(tried(&mutant(&["models a"]), fails).0);
        assert_eq!(tried(&mutant(&["models a", "sim"]), |_| Ending::Passed), (false, Ending::Passed));
        let first = |command: &str| if command == "models a" { hangs(command) } else { Ending::Passed };
        assert_eq!(tried(&mutant(&["models a", "sim"]), first), (false, Ending::Hung("models a".to_owned())));
    }
}
