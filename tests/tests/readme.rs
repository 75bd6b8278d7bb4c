//! The README's commands run as they are written: against a real server, in a folder that has the repository's fixtures.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::tempdir;
use trail_tests::binary::{binary, clean, root, run};
use trail_tests::readme::{Step, steps};
use trail_tests::server::Server;

/// Where a reader's server listens; here it is the address of the test's server.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8700";
/// The longest time of a command, in seconds. What follows a log never ends by itself.
const SECONDS_MAX: u32 = 60;
const SECONDS_OF_TAIL: u32 = 3;

/// How a command of a reader is tried here.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// As it is.
    Plain,
    /// Starts a server: it must listen, and is then stopped.
    Serves,
    /// Follows the log: it runs for a moment.
    Follows,
    /// The gate itself, or what fetches and installs: its file or word must be known, and it is not run.
    Gate,
}

fn kind(command: &str) -> Kind {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |word: &str| words.iter().skip_while(|w| **w != word).nth(1).copied();
    match words.first().copied() {
        Some("git" | "cd" | "rustup") => Kind::Gate,
        Some("tests/run" | "./tests/run") => Kind::Gate,
        Some("cargo") if after("--") == Some("serve") => Kind::Serves,
        Some("cargo") => Kind::Gate,
        _ if words.contains(&"serve") && words.contains(&"traild") => Kind::Serves,
        _ if words.windows(2).any(|w| w == ["traild", "tail"]) => Kind::Follows,
        _ => Kind::Plain,
    }
}

struct Reader<'a> {
    folder: &'a Path,
    server: &'a Server,
}

impl Reader<'_> {
    fn shell(&self, script: &str) -> Command {
        let mut path = OsString::from(binary().parent().unwrap());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = clean(Command::new("bash"));
        command.args(["-c", script]).current_dir(self.folder).env("PATH", path).env("TRAILD_URL", self.server.url());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a step; what is wrong with it.
    fn step(&self, step: &Step) -> Result<(), String> {
        let text = step.command.replace(DEFAULT_ADDRESS, &self.server.address.to_string());
        let (code, out, errors) = match kind(&text) {
            Kind::Gate => return Ok(()),
            Kind::Serves => {
                // A folder and a port of its own; what is said must be that it listens.
                let text =
                    text.replace("cargo run --release -- serve", "traild serve").replace(&self.server.address.to_string(), "127.0.0.1:0");
                let listen = if text.contains("--listen") { "" } else { " --listen 127.0.0.1:0" };
                let mut command = self.shell(&format!("timeout --preserve-status 5 {text}{listen}"));
                let (code, out, errors) = run(&mut command);
                (if out.contains("listening on http://") { code } else { -1 }, out, errors)
            }
            Kind::Follows => run(&mut self.shell(&format!("timeout {SECONDS_OF_TAIL} {text} || test $? -eq 124"))),
            Kind::Plain => {
                let script = format!("set -o pipefail\n{text}\n");
                run(&mut self.limited(&script))
            }
        };
        if code == step.exit {
            return Ok(());
        }
        Err(format!("line {}: `{}` ended with {code}, not {}\n{out}{errors}", step.line, step.command, step.exit))
    }

    fn limited(&self, script: &str) -> Command {
        let mut command = self.shell(&format!("timeout {SECONDS_MAX} bash -c \"$SCRIPT\""));
        command.env("SCRIPT", script);
        command
    }
}

#[test]
fn every_command_of_the_readme_runs() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the repository has no README.md");
    let steps = steps(&text);
    let ran = steps.iter().filter(|step| kind(&step.command) != Kind::Gate).count();
    assert!(ran >= 5, "the README has only {ran} commands in console blocks");
    let folder = tempdir().unwrap();
    for name in ["tests", "benches", "README.md"] {
        symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    let server = Server::start(&folder.path().join("log"), &[]);
    let reader = Reader { folder: folder.path(), server: &server };
    let problems: Vec<String> = steps.iter().filter_map(|step| reader.step(step).err()).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    server.stop();
}

#[test]
fn a_command_that_lies_is_found() {
    let folder = tempdir().unwrap();
    symlink(root().join("tests"), folder.path().join("tests")).unwrap();
    let server = Server::start(&folder.path().join("log"), &[]);
    let reader = Reader { folder: folder.path(), server: &server };
    let step = |command: &str, exit| reader.step(&Step { line: 1, command: command.into(), exit });
    assert_eq!(step("traild import tests/fixtures/corpus/edge.ndjson", 0), Ok(()));
    assert_eq!(step("traild count user:nobody   # exit 1", 1), Ok(()));
    assert_eq!(step("curl -sf http://127.0.0.1:8700/healthz | grep -q .", 0), Ok(()));
    assert_eq!(step("cargo run --release -- serve", 0), Ok(()));
    assert_eq!(step("traild tail event_name:X", 0), Ok(()));
    for (command, exit) in
        [("traild count user:nobody", 0), ("traild cuont", 0), ("traild serve --lisen x", 0), ("traild stats", 1), ("false | cat", 0)]
    {
        assert!(step(command, exit).is_err(), "{command}");
    }
    server.stop();
}
