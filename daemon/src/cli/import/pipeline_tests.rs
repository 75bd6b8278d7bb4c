//! The whole way from files to a target that keeps everything in memory.

use std::sync::Mutex;

use super::*;
use crate::cli::exit::Exit;
use crate::cli::import::report::Rejected;
use crate::cli::import::source::expand;

#[derive(Debug, Default)]
struct Kept {
    events: Mutex<Vec<Vec<u8>>>,
    finished: AtomicBool,
}

/// Keeps events; rejects those with `"bad"`, fails at those with `"fatal"`.
struct Memory(Arc<Kept>);

impl Target for Memory {
    fn store(&self, batch: &Batch, _progress: &Progress) -> Result<Stored, Failure> {
        let mut stored = Stored::default();
        for index in 0..batch.len() {
            let event = batch.event(index);
            if memchr::memmem::find(event, b"fatal").is_some() {
                return Err(Failure::new(Exit::Refused, "fatal"));
            }
            if memchr::memmem::find(event, b"\"bad\"").is_some() {
                stored.rejected.push(Rejected { index, code: "bad".into(), message: "bad".into() });
                continue;
            }
            stored.accepted += 1;
            self.0.events.lock().unwrap().push(event.to_vec());
        }
        Ok(stored)
    }

    fn finish(&self, _progress: &Progress) -> Result<(), Failure> {
        self.0.finished.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Imports files with these contents; the kept events, the rejects file and the failure.
fn import(files: &[&[u8]]) -> (Vec<String>, Vec<serde_json::Value>, Option<Failure>) {
    let folder = tempfile::tempdir().unwrap();
    let rejects = folder.path().join("rejects");
    let input = folder.path().join("in");
    std::fs::create_dir(&input).unwrap();
    for (n, content) in files.iter().enumerate() {
        std::fs::write(input.join(format!("{n:03}")), content).unwrap();
    }
    let kept = Arc::new(Kept::default());
    let progress = Arc::new(Progress::new(None));
    let report = Report::new(Some(&rejects)).unwrap();
    let (mut report, failure) = run(&expand(&[input]).unwrap(), Box::new(Memory(kept.clone())), report, &progress).unwrap();
    assert!(kept.finished.load(Ordering::Relaxed), "the target was left unfinished");
    let exit = report.finish(&progress).unwrap();
    let rejected: Vec<serde_json::Value> =
        std::fs::read_to_string(&rejects).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exit == Exit::Rejected, !rejected.is_empty());
    let mut events: Vec<String> = kept.events.lock().unwrap().iter().map(|e| String::from_utf8(e.clone()).unwrap()).collect();
    events.sort();
    (events, rejected, failure)
}

#[test]
fn every_event_of_many_batches_arrives_once() {
    let lines: Vec<String> = (0..5_500).map(|n| format!("{{\"n\":\"{n:05}\"}}")).collect();
    let packed = zstd::encode_all(lines[3_000..].join("\n").as_bytes(), 1).unwrap();
    let (events, rejected, failure) = import(&[format!("[{}]", lines[..3_000].join(",\n")).as_bytes(), &packed, b"", b"[]"]);
    assert_eq!(failure, None);
    assert!(rejected.is_empty(), "{} rejected, the first {:?}", rejected.len(), rejected.first());
    let written: Vec<String> = (0..5_500).map(|n| format!("{{\"n\":\"{n:05}\"}}")).collect();
    assert_eq!(events, written);
}

#[test]
fn rejects_have_their_places() {
    let text = b"{\"ok\":1}\n{\"a\":}\nnull\n[7]\n{\"bad\":1}\n{\"u\":\"\xff\"}\n{\"ok\":2}\n".as_slice();
    let (events, rejected, failure) = import(&[text, b"\x7fELF\0\0\0\0", b"{\"ok\":3}"]);
    assert_eq!(failure, None);
    assert_eq!(events, ["{\"ok\":1}", "{\"ok\":2}", "{\"ok\":3}"]);
    let mut places: Vec<(String, u64, String)> = rejected
        .iter()
        .map(|r| {
            let file = r["file"].as_str().unwrap();
            (file[file.len() - 3..].to_owned(), r["line"].as_u64().unwrap(), r["code"].as_str().unwrap().to_owned())
        })
        .collect();
    places.sort();
    let expected = [
        ("000", 2, "invalid_json"),
        ("000", 3, "not_an_object"),
        ("000", 4, "not_an_object"),
        ("000", 5, "bad"),
        ("000", 6, "invalid_utf8"),
        ("001", 1, "not_json"),
    ];
    assert_eq!(places, expected.map(|(file, line, code)| (file.to_owned(), line, code.to_owned())));
}

/// The events of the corpus of bad lines, each rejected at its line; good ones between them are kept.
#[test]
fn bad_lines_are_rejected_one_by_one() {
    let bad = include_bytes!("../../../../tests/fixtures/corpus/bad.ndjson");
    let blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
    let mut text = Vec::new();
    let mut expected = Vec::new();
    for (i, line) in (0_u64..).zip(bad.strip_suffix(b"\n").unwrap_or(bad).split(|b| *b == b'\n')) {
        text.extend_from_slice(line);
        text.extend_from_slice(format!("\n{{\"ok\":{i}}}\n").as_bytes());
        if !blank(line) {
            expected.push(2 * i + 1);
        }
    }
    for input in [text.clone(), [b"\n".as_slice(), &text].concat()] {
        let shift = (input.len() - text.len()) as u64;
        let (events, rejected, failure) = import(&[&input]);
        assert_eq!(failure, None);
        assert!(events.iter().all(|event| event.starts_with("{\"ok\":")), "{events:?}");
        assert_eq!(events.len(), 46);
        let mut lines: Vec<u64> = rejected.iter().map(|r| r["line"].as_u64().unwrap() - shift).collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
    let (events, rejected, _) = import(&[bad]);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(rejected.len(), 44);
    let of = |line: u64| rejected.iter().find(|r| r["line"] == line).unwrap()["message"].as_str().unwrap();
    for line in [6, 7, 8, 24] {
        assert!(of(line).starts_with("there is more on the line behind the object, at byte "), "{line}: {}", of(line));
    }
    assert_eq!(of(25), "an event must be a JSON object");
}

#[test]
fn documents_over_several_lines_are_told_by_their_content() {
    let pretty = "{\n  \"a\": {\n    \"b\": [\n      1\n    ]\n  }\n}";
    let records = format!("{{\n  \"Records\": [\n    {{\"n\":1}},\n{pretty}\n  ]\n}}\n");
    let array = format!("[\n{pretty},\n  {{\"n\":1}}\n]\n");
    for text in [records.clone(), array, format!("{pretty}\n{{\"n\":1}}\n"), format!("{records}[]")] {
        let (events, rejected, failure) = import(&[text.as_bytes()]);
        assert_eq!((failure, rejected), (None, vec![]), "{text}");
        assert_eq!(events, [pretty, "{\"n\":1}"], "{text}");
    }
    // The same object on one line makes the file lines, where an object over several lines is none.
    let (events, rejected, _) = import(&[format!("{{\"n\":1}}\n{pretty}\n").as_bytes()]);
    assert_eq!((events.len(), rejected.len()), (1, 7));
}

#[test]
fn damage_in_one_file_leaves_the_others() {
    let mut packed = zstd::encode_all(b"{\"a\":1}\n".repeat(100_000).as_slice(), 1).unwrap();
    packed.truncate(packed.len() / 2);
    let (events, rejected, failure) = import(&[&packed, b"{\"ok\":1}"]);
    assert_eq!(failure, None);
    assert!(events.contains(&"{\"ok\":1}".to_owned()));
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(rejected[0]["code"], "unreadable");
}

#[test]
fn a_target_that_fails_ends_the_import() {
    let text = format!("{}{{\"fatal\":1}}\n{}", "{\"a\":1}\n".repeat(3_000), "{\"b\":1}\n".repeat(300_000));
    let (events, _, failure) = import(&[text.as_bytes()]);
    assert_eq!(failure.unwrap().message, "fatal");
    assert!(events.len() < 20_000, "{} events were stored after the failure", events.len());
}

#[test]
fn prose_in_a_folder_is_passed_over_but_read_when_named() {
    let prose = b"# Corpus\n\nAudit events, one a line.\n";
    let (events, rejected, failure) = import(&[prose, b"{\"a\":1}\n", b"oops\n{\"b\":2}\n"]);
    assert_eq!((events.len(), failure), (2, None));
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(rejected[0]["line"], 1);
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("README.md");
    std::fs::write(&named, prose).unwrap();
    let (kept, progress) = (Arc::new(Kept::default()), Arc::new(Progress::new(None)));
    let (mut report, _) = run(&expand(&[named]).unwrap(), Box::new(Memory(kept)), Report::default(), &progress).unwrap();
    assert_eq!(report.finish(&progress), Ok(Exit::Rejected));
    assert!(report.summary(std::time::Duration::ZERO).contains("2 rejected"));
}

#[test]
fn a_reason_is_in_words_with_its_place() {
    let reason = |text: &str| check(text.as_bytes()).unwrap_err().1;
    assert_eq!(reason("{\"a\":"), "it ends inside of a value at column 5 of the event");
    assert_eq!(reason("{\"a\":}"), "expected value at column 6 of the event");
    assert_eq!(reason("{\n\"a\": }"), "expected value at line 2, column 6 of the event");
}
