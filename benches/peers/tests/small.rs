//! A small run of the whole command: the answers are asserted, the times are not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what stands beside the tests here is a part of them")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The server under test: the one that `TRAIL_TEST_BIN` names, else one that was built in this tree.
fn traild() -> PathBuf {
    let built = ["release", "debug"].map(|kind| Path::new(TREE).join("target").join(kind).join("traild"));
    let named = std::env::var_os("TRAIL_TEST_BIN").map(PathBuf::from);
    let found = named.into_iter().chain(built).find(|path| path.is_file());
    found.expect("there is no traild: run `cargo build -p traild` in the root of the tree first")
}

fn peers(directory: &Path, list: &str, traild: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peers"));
    command.args(["--events", "5000", "--runs", "2", "--peers", list, "--traild"]).arg(traild);
    command.arg("--work").arg(directory.join("work")).arg("--out").arg(directory.join("out"));
    command.output().unwrap()
}

#[test]
fn traild_and_tantivy_agree() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let out = peers(directory.path(), "traild,tantivy", &traild());
    let (table, told) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert!(out.status.success(), "{told}");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| Q")).collect();
    assert_eq!(rows.len(), 10, "{table}");
    for row in rows {
        let answers: Vec<&str> = row.trim_matches('|').split('|').skip(1).map(str::trim).collect();
        assert!(answers.len() == 2 && answers.iter().all(|answer| answer.contains(" / ")), "{row}");
    }
    let written = |name: &str| std::fs::read_to_string(directory.path().join("out").join(name)).unwrap();
    assert!(written("RESULTS.md").contains(&table) && written("RESULTS.md").contains("--events 5000 --seed 1 --runs 2"));
    assert_eq!(written("peers.svg").matches("font-weight").count(), 13);
    let left: Vec<_> = std::fs::read_dir(directory.path().join("work")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["events.ndjson"], "data is left behind");
}

#[test]
fn who_cannot_be_started_is_skipped_with_the_reason() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let out = peers(directory.path(), "traild", Path::new("/no/such/traild"));
    let table = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && table.contains("traild: skipped: there is no /no/such/traild"), "{table}");
}

#[test]
fn a_wrong_answer_is_shown_and_ends_with_an_error() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = liar();
    let out = peers(directory.path(), &url, Path::new("unused"));
    let table = String::from_utf8(out.stdout).unwrap();
    assert!(!out.status.success(), "{table}");
    assert!(table.contains("| Q9 count of everything | **wrong answer** |"), "{table}");
    assert!(table.contains("Count(0) instead of Count(5000)"), "{table}");
}

/// A server that takes everything and knows of nothing; it ends with the test.
fn liar() -> String {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = |stream: std::net::TcpStream| -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut stream, mut line) = (stream, String::new());
        loop {
            let (mut length, mut target) = (0, None);
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let text = line.trim_end().to_ascii_lowercase();
                target.get_or_insert_with(|| text.clone());
                if let Some(value) = text.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
                if text.is_empty() {
                    break;
                }
            }
            reader.read_exact(&mut vec![0; length])?;
            let counts = target.is_some_and(|target| target.contains("stats%20count"));
            let body = if counts { "{\"n\":\"0\"}\n" } else { "" };
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a server of a test, which ends with it")]
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    url
}
