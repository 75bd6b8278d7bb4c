//! A short run of the whole command: what is delivered is asserted (by the command itself), no time is.

use std::process::Command;

use trail_tests::binary::{binary, clean};

#[test]
fn everything_is_delivered_and_the_table_is_whole() {
    let load = std::path::Path::new(env!("CARGO_BIN_EXE_deliver")).with_file_name("load");
    let mut command = clean(Command::new(env!("CARGO_BIN_EXE_deliver")));
    command.args(["--events", "20000", "--rate", "2000", "--soon", "1000", "--seconds", "2", "--rounds", "1", "--binary"]).arg(binary());
    let output = command.arg("--load").arg(load).output().unwrap();
    let (table, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{table}\n{told}");
    for (row, count) in [
        ("one trail to a folder", 1),
        ("the same at once", 1),
        ("sealed segments", 1),
        ("p99 of a request at 2,000", 1),
        ("full ingest: without a trail", 1),
        ("so it keeps up with full ingest", 1),
        ("to a log service at 1,000", 1),
    ] {
        assert_eq!(table.matches(row).count(), count, "{row}: {table}");
    }
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")).count();
    assert_eq!(rows, 10, "{table}");
}
