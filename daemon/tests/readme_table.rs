//! The settings in `README.md` are those of the program: the table there is compared, byte for byte, with one made from
//! [`SETTINGS`].

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;

use traild::cli::exit::HELP;
use traild::config::SETTINGS;
use traild::dialect::default_schema;

const BEGIN: &str = "<!-- settings: made from daemon/src/config/settings.rs, held to it by a test -->\n";
const END: &str = "<!-- end of settings -->";

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).expect("README.md at the root of the repository")
}

#[test]
fn the_table_of_settings_is_that_of_the_program() {
    let mut wanted = String::from("| in the file | in the environment | default | what it is |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        writeln!(wanted, "| `{}` | `{}` | `{}` | {} |", setting.name, setting.environment(), setting.default, setting.doc).unwrap();
    }
    let readme = readme();
    let (_, rest) = readme.split_once(BEGIN).expect("README.md has the mark before the settings");
    let (found, _) = rest.split_once(END).expect("README.md has the mark after the settings");
    assert_eq!(found, wanted, "README.md must have this table:\n{wanted}");
}

#[test]
fn the_exit_codes_are_those_of_the_help_text() {
    let readme = readme();
    for line in HELP.lines().skip(1) {
        let (code, meaning) = line.trim().split_once(' ').expect("a code and its meaning");
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(readme.contains(&row), "README.md lacks the row {row}");
    }
}

#[test]
fn every_dimension_is_named() {
    let readme = readme();
    for dimension in &default_schema().unwrap().dimensions {
        let start = format!("| `{}` | ", dimension.name);
        assert!(readme.lines().any(|line| line.starts_with(&start)), "README.md lacks the row of dimension `{}`", dimension.name);
    }
}
