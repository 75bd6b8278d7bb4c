//! The README's commands run as they are written, one after the other: against a real server, in a folder that has the repository's fixtures. That is every
//! command line of its `console` and `sh` blocks, curl's among them; its configuration is read by the program as well.
//!
//! What differs from what a reader does: `cargo run --release --` is the binary under test, since another build would take minutes; addresses are free ones
//! of the test's; the server has from its start the settings that the README names for a try; a server in the foreground and whatever follows the log are
//! stopped after a moment; `sleep` waits until every trail has delivered, since a busy machine may take longer; curl fails where the
//! server refuses (a `.curlrc` says so). What `pip install` would bring is the test's own (`tests/requirements.txt`), and must be what it names. The one line
//! that is not run is `tests/run`: it is the gate that runs this test.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::tempdir;
use trail_tests::binary::{binary, clean, root, run, traild};
use trail_tests::delivery::status;
use trail_tests::fixtures::{bytes, lines};
use trail_tests::moto::free_address;
use trail_tests::python;
use trail_tests::readme::{Step, blocks, heading, steps};
use trail_tests::server::Server;
use trail_tests::table::wait_for;

/// Where a reader's server listens; here it is the address of the test's server.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8700";
/// Where a reader's other servers listen: a restored log, an S3, a receiver of webhooks.
const OTHERS: [&str; 3] = ["127.0.0.1:8701", "127.0.0.1:9000", "127.0.0.1:9001"];
/// The longest time of a command, in seconds. What follows a log never ends by itself.
const SECONDS_MAX: u32 = 60;
const SECONDS_OF_TAIL: u32 = 3;
/// The section whose commands need an S3.
const STORES: &str = "### Object stores";
/// What commands say, beside ending well.
const PRINTS: [(&str, &str); 9] = [
    ("traild trail test hook", "webhook: ok"),
    ("traild trail status hook", "hook: enabled"),
    ("traild trail status changes", "changes: enabled"),
    ("aws s3 ls", ".ndjson.zst"),
    ("traild trail rotate-key", " signs "),
    ("aws cloudtrail validate-logs", " log files valid"),
    ("import duckdb", "event_name"),
    ("traild archive verify", "; 0 problems"),
    ("traild restore", " restored; 0 problems"),
];

/// How a command of a reader is tried here.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// As it is.
    Plain,
    /// Starts a server: it must listen, and is then stopped.
    Serves,
    /// Goes on in the background (`&`): it must listen, and is there for the commands after it.
    Stays,
    /// Follows the log: it runs for a moment.
    Follows,
    /// Sets variables for the commands after it.
    Sets,
    /// Waits for deliveries.
    Waits,
    /// Fetches packages: the tests must have them.
    Fetches,
    /// The gate itself: it must be there and can be run; it runs this test, so that it is not run by it.
    Gate,
}

/// A command without the remark behind it.
fn bare(command: &str) -> &str {
    command.split(" #").next().unwrap_or_default().trim_end()
}

fn kind(command: &str) -> Kind {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |word: &str| words.iter().skip_while(|w| **w != word).nth(1).copied();
    match words.first().copied() {
        Some("tests/run") => Kind::Gate,
        Some("pip") => Kind::Fetches,
        Some("export") => Kind::Sets,
        Some("sleep") => Kind::Waits,
        _ if bare(command).ends_with('&') => Kind::Stays,
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
    /// Addresses as they are written, and those that stand for them.
    places: Vec<(&'static str, SocketAddr)>,
    /// What was set by the commands before.
    session: String,
    background: Vec<Child>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        for child in &mut self.background {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<'a> Reader<'a> {
    fn new(folder: &'a Path, server: &'a Server) -> Reader<'a> {
        let others = OTHERS.map(|place| (place, free_address()));
        let places = [(DEFAULT_ADDRESS, server.address)].into_iter().chain(others).collect();
        // Without it curl is content with a refusal.
        std::fs::write(folder.join(".curlrc"), "fail\nshow-error\nsilent\n").unwrap();
        Reader { folder, server, places, session: String::new(), background: Vec::new() }
    }

    fn shell(&self, script: &str) -> Command {
        let mut path = OsString::from(binary().parent().unwrap());
        path.push(":");
        path.push(python::programs());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = clean(Command::new("bash"));
        command.args(["-c", script]).current_dir(self.folder).env("PATH", path).env("TRAILD_URL", self.server.url());
        command.env("CURL_HOME", self.folder).stdin(Stdio::null());
        command
    }

    /// A command with the addresses of the test.
    fn placed(&self, command: &str) -> String {
        self.places.iter().fold(command.to_owned(), |text, (written, place)| {
            let port = written.rsplit(':').next().unwrap_or_default();
            text.replace(written, &place.to_string()).replace(&format!("-p {port}"), &format!("-p {}", place.port()))
        })
    }

    /// Runs a step; what it printed, or what is wrong with it.
    fn step(&mut self, step: &Step) -> Result<String, String> {
        let text = self.placed(&step.command);
        let (code, out, errors) = match kind(&text) {
            Kind::Gate => run(Command::new("test").args(["-x", "tests/run"]).current_dir(root())),
            Kind::Fetches => (i32::from(!are_ours(bare(&text))), String::new(), "not in tests/requirements.txt".into()),
            Kind::Sets => {
                self.session.push_str(&format!("{}\n", bare(&text)));
                run(&mut self.limited("true"))
            }
            Kind::Waits => {
                self.wait_for_deliveries();
                (0, String::new(), String::new())
            }
            Kind::Stays => self.stay(bare(&text).trim_end_matches('&')),
            Kind::Serves => self.serve(bare(&text)),
            Kind::Follows => run(&mut self.shell(&format!("timeout {SECONDS_OF_TAIL} {text}\ntest $? -eq 124"))),
            Kind::Plain => run(&mut self.limited(&text)),
        };
        let wanted = PRINTS.iter().find(|(part, _)| step.command.contains(part)).map_or("", |(_, words)| words);
        if code == step.exit && (out.contains(wanted) || errors.contains(wanted)) {
            return Ok(out);
        }
        let prints = if wanted.is_empty() { String::new() } else { format!(", or prints no `{wanted}`") };
        Err(format!("line {}: `{}` ended with {code}, not {}{prints}\n{out}{errors}", step.line, step.command, step.exit))
    }

    /// A folder and a port of its own; what is said must be that it listens.
    fn serve(&self, text: &str) -> (i32, String, String) {
        let text = text.replace("cargo run --release -- serve", "traild serve").replace(&self.server.address.to_string(), "127.0.0.1:0");
        let listen = if text.contains("--listen") { "" } else { " --listen 127.0.0.1:0" };
        let (code, out, errors) = run(&mut self.shell(&format!("timeout --preserve-status 5 {text}{listen}")));
        (if out.contains("listening on http://") { code } else { -1 }, out, errors)
    }

    /// Starts what goes on in the background, and waits until it listens.
    fn stay(&mut self, text: &str) -> (i32, String, String) {
        let is_of = |place: &SocketAddr| text.contains(&place.to_string()) || text.contains(&format!("-p {}", place.port()));
        let Some(place) = self.places.iter().map(|(_, place)| *place).find(is_of) else {
            return (-1, String::new(), format!("it listens at none of {OTHERS:?}"));
        };
        let mut command = self.shell(&format!("{}exec {text}", self.session));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut ended = None;
        wait_for(text, || {
            ended = child.try_wait().unwrap();
            ended.is_some() || TcpStream::connect(place).is_ok()
        });
        self.background.push(child);
        ended
            .map_or((0, String::new(), String::new()), |status| (status.code().unwrap_or(-1), String::new(), format!("it ended: {status}")))
    }

    fn wait_for_deliveries(&self) {
        let mut client = self.server.client();
        let trails = client.json("/v1/trails")["trails"].clone();
        let enabled = trails.as_array().unwrap().iter().filter(|trail| trail["state"] == "enabled");
        for name in enabled.map(|trail| trail["name"].as_str().unwrap()) {
            wait_for(name, || status(&mut client, name).iter().all(|sink| sink["lag_events"] == 0));
        }
    }

    fn limited(&self, text: &str) -> Command {
        let mut command = self.shell(&format!("timeout {SECONDS_MAX} bash -c \"$SCRIPT\""));
        command.env("SCRIPT", format!("set -o pipefail\n{}{text}\n", self.session));
        command
    }
}

/// Whether the tests have the packages that a reader fetches.
fn are_ours(command: &str) -> bool {
    let ours = std::fs::read_to_string(root().join("tests/requirements.txt")).unwrap();
    let mut names = command.split_whitespace().skip_while(|word| *word != "install").skip(1).map(|word| word.trim_matches('\''));
    names.all(|name| ours.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with("=="))))
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

/// The settings with which a reader sees an archive at once.
fn settings(readme: &str) -> Vec<(&str, &str)> {
    let spans = readme.split('`').filter(|span| span.contains("TRAILD_SEGMENT_EVENTS_MAX="));
    let settings: Vec<_> = spans.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!(settings.len(), 2, "{settings:?}");
    settings
}

#[test]
fn every_command_of_the_readme_runs() {
    let curl = Command::new("curl").arg("--version").output();
    assert!(curl.is_ok_and(|output| output.status.success()), "the README's commands need curl: install it");
    let readme = readme();
    let mut steps = steps(&readme);
    let words = ["traild ", "curl ", "cargo run --release -- serve", "traild key create"];
    for word in words.iter().chain(PRINTS.iter().map(|(part, _)| part)) {
        assert!(steps.iter().any(|step| step.command.contains(word)), "the README has no command with `{word}`");
    }
    let passed: Vec<&str> = steps.iter().filter(|step| kind(&step.command) == Kind::Gate).map(|step| step.command.as_str()).collect();
    assert!(passed.len() == 1 && passed[0].starts_with("tests/run"), "not run: {passed:?}");
    if ["moto_server", "aws", "python3"].iter().any(|name| python::program(name).is_none()) {
        python::skip("moto, awscli or duckdb");
        steps.retain(|step| heading(&readme, step.line) != STORES);
    }
    let folder = tempdir().unwrap();
    prepare(folder.path());
    let server = Server::start(&folder.path().join("log"), &settings(&readme));
    let mut reader = Reader::new(folder.path(), &server);
    let problems: Vec<String> = steps.iter().filter_map(|step| reader.step(step).err()).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    let token = std::fs::read_to_string(folder.path().join("web-1.key")).unwrap();
    assert!(token.starts_with("traild_web-1_"), "{token}");
    drop(reader);
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
    for table in ["[[keys]]", "[[dimensions]]", "[[trails]]"] {
        assert!(blocks.iter().any(|block| block.contains(table)), "the README has no configuration with {table}");
    }
    for block in blocks {
        let (code, _, errors) = import(&block);
        assert_eq!(code, 0, "{errors}\n{block}");
        let (code, _, errors) = import(&format!("{block}\ncolour = 1\n"));
        assert!(code == 2 && errors.contains("unknown member `colour`"), "{code} {errors}");
    }
}

#[test]
fn a_command_that_lies_is_found() {
    let folder = tempdir().unwrap();
    prepare(folder.path());
    let server = Server::start(&folder.path().join("log"), &[]);
    let mut reader = Reader::new(folder.path(), &server);
    let mut step = |command: &str, exit| reader.step(&Step { line: 1, command: command.into(), exit }).map(drop);
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
    assert_eq!(step("pip install duckdb 'moto[server]'", 0), Ok(()));
    assert_eq!(step("export A=1 B=\"x y\"   # for later", 0), Ok(()));
    assert_eq!(step("test \"$A$B\" = '1x y'", 0), Ok(()));
    assert_eq!(step("traild serve --data-dir ./other --listen 127.0.0.1:8701 &   # another", 0), Ok(()));
    assert_eq!(step("curl http://127.0.0.1:8701/healthz", 0), Ok(()));
    for (command, exit) in [
        ("traild count user:nobody", 0),
        ("traild cuont", 0),
        ("traild serve --lisen x", 0),
        ("traild serve --lisen 127.0.0.1:9001 &", 0),
        ("traild serve --data-dir ./nowhere &", 0),
        ("pip install duckdb no-such-package", 0),
        ("traild trail status hook", 0),
        ("traild stats", 1),
        ("false | cat", 0),
        ("curl http://127.0.0.1:8700/v1/cuont", 0),
        ("curl --data-binary @events.ndjson http://127.0.0.1:8700/v1/events", 0),
        ("curl -N 'http://127.0.0.1:8700/v1/tail?q=usr:x'", 0),
    ] {
        assert!(step(command, exit).is_err(), "{command}");
    }
    drop(reader);
    server.stop();
}
