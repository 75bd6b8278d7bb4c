//! The README's commands run as they are written: against a real server, in a folder that has the repository's fixtures. That is every
//! command line of its `console` and `sh` blocks, curl's among them; its configuration is read by the program as well.
//!
//! What differs from what a reader does: `cargo run --release --` is the binary under test, since another build would take minutes; the
//! default address is that of the test's server; a server and whatever follows the log are stopped after a moment; curl fails
//! where the server refuses (a `.curlrc` says so). The one line that is not run is `tests/run`: it is the gate that runs this test.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::tempdir;
use trail_tests::binary::{binary, clean, root, run, traild};
use trail_tests::fixtures::{bytes, lines};
use trail_tests::readme::{Step, blocks, steps};
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
    /// The gate itself: it must be there and can be run; it runs this test, so that it is not run by it.
    Gate,
}

fn kind(command: &str) -> Kind {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |word: &str| words.iter().skip_while(|w| **w != word).nth(1).copied();
    match words.first().copied() {
        Some("tests/run") => Kind::Gate,
        Some("cargo") if after("--") == Some("serve") => Kind::Serves,
        _ if words.contains(&"serve") && words.contains(&"traild") => Kind::Serves,
        _ if words.windows(2).any(|w| w == ["traild", "tail"]) => Kind::Follows,
        Some("curl") if command.contains("/v1/tail") => Kind::Follows,
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
        // Without it curl is content with a refusal.
        std::fs::write(self.folder.join(".curlrc"), "fail\nshow-error\nsilent\n").unwrap();
        command.env("CURL_HOME", self.folder).stdin(Stdio::null());
        command
    }

    /// Runs a step; what is wrong with it.
    fn step(&self, step: &Step) -> Result<(), String> {
        let text = step.command.replace(DEFAULT_ADDRESS, &self.server.address.to_string());
        let (code, out, errors) = match kind(&text) {
            Kind::Gate => run(Command::new("test").args(["-x", "tests/run"]).current_dir(root())),
            Kind::Serves => {
                // A folder and a port of its own; what is said must be that it listens.
                let text = text.split(" #").next().unwrap_or_default();
                let text =
                    text.replace("cargo run --release -- serve", "traild serve").replace(&self.server.address.to_string(), "127.0.0.1:0");
                let listen = if text.contains("--listen") { "" } else { " --listen 127.0.0.1:0" };
                let mut command = self.shell(&format!("timeout --preserve-status 5 {text}{listen}"));
                let (code, out, errors) = run(&mut command);
                (if out.contains("listening on http://") { code } else { -1 }, out, errors)
            }
            Kind::Follows => run(&mut self.shell(&format!("timeout {SECONDS_OF_TAIL} {text}\ntest $? -eq 124"))),
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

/// A reader's folder: the repository, and the files that the examples send.
fn prepare(folder: &Path) {
    for name in ["tests", "benches", "README.md"] {
        symlink(root().join(name), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("events.ndjson"), bytes("cloudtrail")).unwrap();
    let records = lines("actiontrail").join(&b',');
    std::fs::write(folder.join("records.json"), [b"{\"Records\":[", &records[..], b"]}"].concat()).unwrap();
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("the repository has no README.md")
}

#[test]
fn every_command_of_the_readme_runs() {
    let curl = Command::new("curl").arg("--version").output();
    assert!(curl.is_ok_and(|output| output.status.success()), "the README's commands need curl: install it");
    let steps = steps(&readme());
    for word in ["traild ", "curl ", "cargo run --release -- serve", "traild key create"] {
        assert!(steps.iter().any(|step| step.command.contains(word)), "the README has no command with `{word}`");
    }
    let passed: Vec<&str> = steps.iter().filter(|step| kind(&step.command) == Kind::Gate).map(|step| step.command.as_str()).collect();
    assert!(passed.len() == 1 && passed[0].starts_with("tests/run"), "not run: {passed:?}");
    let folder = tempdir().unwrap();
    prepare(folder.path());
    let server = Server::start(&folder.path().join("log"), &[]);
    let reader = Reader { folder: folder.path(), server: &server };
    let problems: Vec<String> = steps.iter().filter_map(|step| reader.step(step).err()).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    let token = std::fs::read_to_string(folder.path().join("web-1.key")).unwrap();
    assert!(token.starts_with("traild_web-1_"), "{token}");
    server.stop();
}

/// An import of nothing into a directory reads and checks the whole configuration.
#[test]
fn the_configuration_of_the_readme_is_read() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("traild.toml");
    let import = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(traild().args(["import", "/dev/null", "--data-dir"]).arg(folder.path().join("log")).arg("--config").arg(&file))
    };
    let blocks = blocks(&readme(), "toml");
    assert!(!blocks.is_empty(), "the README has no configuration");
    for block in blocks {
        let (code, _, errors) = import(&block);
        assert_eq!(code, 0, "{errors}\n{block}");
        let (code, _, errors) = import(&format!("{block}\npath = 1\n"));
        assert!(code == 2 && errors.contains("unknown member `path`"), "{code} {errors}");
    }
}

#[test]
fn a_command_that_lies_is_found() {
    let folder = tempdir().unwrap();
    prepare(folder.path());
    let server = Server::start(&folder.path().join("log"), &[]);
    let reader = Reader { folder: folder.path(), server: &server };
    let step = |command: &str, exit| reader.step(&Step { line: 1, command: command.into(), exit });
    assert_eq!(step("traild import tests/fixtures/corpus/edge.ndjson", 0), Ok(()));
    assert_eq!(step("traild count user:nobody   # exit 1", 1), Ok(()));
    assert_eq!(step("curl -sf http://127.0.0.1:8700/healthz | grep -q .", 0), Ok(()));
    assert_eq!(step("cargo run --release -- serve   # in ./traild-data", 0), Ok(()));
    assert_eq!(
        step("curl -H 'Content-Type: application/x-ndjson' --data-binary @events.ndjson http://127.0.0.1:8700/v1/events", 0),
        Ok(())
    );
    assert_eq!(step("curl -N 'http://127.0.0.1:8700/v1/tail?q=read_only:false'", 0), Ok(()));
    assert_eq!(step("traild tail event_name:X", 0), Ok(()));
    for (command, exit) in [
        ("traild count user:nobody", 0),
        ("traild cuont", 0),
        ("traild serve --lisen x", 0),
        ("traild stats", 1),
        ("false | cat", 0),
        ("curl http://127.0.0.1:8700/v1/cuont", 0),
        ("curl --data-binary @events.ndjson http://127.0.0.1:8700/v1/events", 0),
        ("curl -N 'http://127.0.0.1:8700/v1/tail?q=usr:x'", 0),
    ] {
        assert!(step(command, exit).is_err(), "{command}");
    }
    server.stop();
}
