//! The one table of the fault matrix: a row that is missing, skipped where nobody may skip, or wrong is a failure, and seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;
use trail_tests::binary::{root, run};
use trail_tests::moto::Moto;

const CLASSES: [&str; 23] =
    ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "24", "bugs"];

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

/// The rows that must be there, as `(class, name)`.
fn known(folder: &Path) -> Vec<(String, String)> {
    let (code, out) = table(folder, None, &["known"]);
    assert_eq!(code, 0, "{out}");
    out.lines()
        .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("{line}")))
        .map(|(class, name)| (class.into(), name.into()))
        .collect()
}

/// All of them, in one file as in many.
fn write(folder: &Path, rows: &[(String, String)]) {
    fs::create_dir_all(folder).unwrap();
    let lines = rows.iter().map(|(class, name)| format!("{class:>5} {name:<28}{:>9}{:>9}\n", 10, 10));
    fs::write(folder.join("00-all"), lines.collect::<String>()).unwrap();
}

#[test]
fn the_table_is_whole_or_it_fails() {
    let folder = tempdir().unwrap();
    let place = folder.path().join("rows");
    let known = known(&place);
    let classes: BTreeSet<&str> = known.iter().map(|(class, _)| class.as_str()).collect();
    assert_eq!(classes, CLASSES.into_iter().collect(), "the classes of the matrix");
    assert_eq!(table(&place, None, &["show"]).1.matches("missing").count(), known.len());

    write(&place, &known);
    let (code, out) = table(&place, Some("true"), &["show"]);
    assert!(code == 0 && !out.contains("missing") && !out.contains("FAILED"), "{code}: {out}");
    assert_eq!(out.lines().count(), known.len() + 1, "{out}");
    // Every other one, and then those between: another row of its class stands for none.
    for half in 0..2 {
        let part = |is_in: bool| known.iter().enumerate().filter(move |(at, _)| (at % 2 == half) == is_in).map(|(_, row)| row.clone());
        write(&place, &part(true).collect::<Vec<_>>());
        let (code, out) = table(&place, None, &["show"]);
        let missing: Vec<&str> = out.lines().filter_map(|line| line.split_once("missing")).map(|(row, _)| row.trim()).collect();
        let expected: Vec<String> = part(false).map(|(class, name)| format!("{class:>5} {name}").trim().to_owned()).collect();
        assert!(code == 1 && missing == expected, "{missing:?} {expected:?}: {out}");
    }

    write(&place, &known);
    fs::write(place.join("03-a-fault"), format!("{:>5} {:<28} skipped: no loop device\n", 3, "a fault")).unwrap();
    let (code, out) = table(&place, None, &["show"]);
    assert!(code == 0 && out.contains("skipped: no loop device") && out.contains("1 skipped"), "{code}: {out}");
    assert_eq!(table(&place, Some("true"), &["show"]).0, 1);

    // The simulation says why.
    fs::write(place.join("03-a-fault"), format!("{:>5} {:<28}{:>9}  FAILED: 9 cases were planned\n", 3, "a fault", 8)).unwrap();
    assert_eq!(table(&place, None, &["show"]).0, 1);

    for (at, wrong) in [(0, "9"), (2, "1"), (3, "1"), (4, "1"), (5, "1")] {
        let mut numbers = GOOD;
        numbers[at] = wrong;
        assert_eq!(row(&place, "3", numbers), 1, "{numbers:?}");
        let (code, out) = table(&place, None, &["show"]);
        assert!(code == 1 && out.contains("FAILED"), "{code}: {out}");
    }
    assert_eq!(row(&place, "3", GOOD), 0);
    assert_eq!(table(&place, None, &["show"]).0, 0);
    assert_eq!(table(&place, None, &["clear"]).0, 0);
    assert_eq!(table(&place, None, &["show"]).1.matches("missing").count(), known.len());
}

/// A test whose other side is not installed says so in the table; the program runs itself without it.
#[test]
fn what_is_not_installed_is_in_the_table() {
    const ALONE: &str = "TRAIL_TEST_NOTHING_INSTALLED";
    if std::env::var_os(ALONE).is_some() {
        assert!(Moto::start().is_none());
        return;
    }
    let folder = tempdir().unwrap();
    let place = folder.path().join("rows");
    let tried = |ci: Option<&str>| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "what_is_not_installed_is_in_the_table"]).env(ALONE, "1").env("TRAIL_TEST_PYTHON", folder.path());
        run(command.env("TRAIL_FAULT_TABLE", &place).env_remove("CI").envs(ci.map(|ci| ("CI", ci)))).0
    };
    assert_eq!(tried(None), 0);
    let (_, out) = table(&place, None, &["show"]);
    assert!(out.contains("   14 table                        skipped: moto is not installed") && out.contains("1 skipped"), "{out}");
    assert_ne!(tried(Some("true")), 0);
}

/// `tests/faults` runs every test that writes a row, by its file.
#[test]
fn every_test_with_a_row_is_a_step_of_the_faults() {
    let command = fs::read_to_string(root().join("tests/faults")).unwrap();
    let steps = command.lines().find_map(|line| line.strip_prefix("for test in ")?.strip_suffix("; do")).expect("the list of tests");
    let steps: BTreeSet<&str> = steps.split(' ').collect();
    let mut with_rows = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/tests")).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.extension().is_some_and(|extension| extension == "rs");
        if is_test && fs::read_to_string(&path).unwrap().contains(concat!("Row::", "begin(")) {
            with_rows.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    let missing: Vec<&String> = with_rows.iter().filter(|name| !steps.contains(name.as_str())).collect();
    assert!(with_rows.len() > 10 && missing.is_empty(), "{missing:?} of {with_rows:?}");
}
