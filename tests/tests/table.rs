//! The one table of the fault matrix: a class that is missing, skipped where nobody may skip, or wrong is a failure, and seen.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;
use trail_tests::binary::{root, run};

const CLASSES: [&str; 22] =
    ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "24"];

fn table(folder: &Path, ci: Option<&str>, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(root().join("tests/table"));
    command.args(words).env("TRAIL_FAULT_TABLE", folder).env_remove("CI").envs(ci.map(|ci| ("CI", ci)));
    let (code, out, errors) = run(&mut command);
    (code, out + &errors)
}

fn row(folder: &Path, class: &str, numbers: [&str; 7]) -> i32 {
    table(folder, None, &[&["row", class, "a fault"][..], &numbers].concat()).0
}

const GOOD: [&str; 7] = ["10", "10", "0", "0", "0", "0", "1.5"];

#[test]
fn the_table_is_whole_or_it_fails() {
    let folder = tempdir().unwrap();
    let place = folder.path().join("rows");
    for class in CLASSES {
        assert_eq!(row(&place, class, GOOD), 0);
    }
    let (code, out) = table(&place, None, &["show"]);
    assert!(code == 1 && out.contains(" bugs ") && out.contains("missing"), "{code}: {out}");
    fs::write(place.join("99-bugs"), format!("{:>5} {:<28}{:>9}\n", "bugs", "caught", 45)).unwrap();
    let (code, out) = table(&place, Some("true"), &["show"]);
    assert!(code == 0 && !out.contains("missing") && !out.contains("FAILED"), "{code}: {out}");
    let order: Vec<&str> = out.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(order, [&CLASSES[..], &["bugs"]].concat(), "{out}");

    fs::write(place.join("03-a-fault"), format!("{:>5} {:<28} skipped: no loop device\n", 3, "a fault")).unwrap();
    let (code, out) = table(&place, None, &["show"]);
    assert!(code == 0 && out.contains("skipped: no loop device") && out.contains("1 skipped"), "{code}: {out}");
    assert_eq!(table(&place, Some("true"), &["show"]).0, 1);

    for (at, wrong) in [(0, "9"), (2, "1"), (3, "1"), (4, "1"), (5, "1")] {
        let mut numbers = GOOD;
        numbers[at] = wrong;
        assert_eq!(row(&place, "3", numbers), 1, "{numbers:?}");
        let (code, out) = table(&place, None, &["show"]);
        assert!(code == 1 && out.contains("FAILED"), "{code}: {out}");
    }
    assert_eq!(table(&place, None, &["clear"]).0, 0);
    assert_eq!(table(&place, None, &["show"]).1.matches("missing").count(), CLASSES.len() + 1);
}
