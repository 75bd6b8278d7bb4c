//! Keeps the record of the last comparison: a section of `RESULTS.md`, and `peers.svg` beside it. Other sections of the file stay as they are.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use trail_rig::Result;

use crate::arguments::Arguments;
use crate::machine::{commit, machine, today};

const BEGIN: &str = "<!-- peers: written by benches/peers -->";
const END: &str = "<!-- peers: end -->";
const EMPTY: &str = "# Results\n\nWhat was measured, where, when, and of which commit. How: `README.md` beside this file.\n";

/// Writes both files, where they are to be written; `load` is the machine's before the run.
pub(crate) fn write(arguments: &Arguments, load: &str, table: &str, plot: &str) -> Result<()> {
    let Some(out) = &arguments.out else {
        eprintln!("RESULTS.md stays as it is: it is of the run without options; --out DIR keeps this one elsewhere");
        return Ok(());
    };
    fs::create_dir_all(out)?;
    fs::write(out.join("peers.svg"), plot)?;
    let path = out.join("RESULTS.md");
    let old = read(&path)?;
    fs::write(&path, replaced(&old, &section(arguments, load, table)))?;
    eprintln!("wrote RESULTS.md and peers.svg");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(failure) if failure.kind() == ErrorKind::NotFound => Ok(EMPTY.into()),
        other => Ok(other?),
    }
}

/// The command is written without its paths: they belong to one machine.
fn section(arguments: &Arguments, load: &str, table: &str) -> String {
    let Arguments { parameters, runs, peers, .. } = arguments;
    format!(
        "## Peers on the same work\n\n- Machine: {}; load before the run: {load}\n- Commit: {}\n- Date: {}\n- Command: `cargo run --release --manifest-path benches/peers/Cargo.toml -- \
         --events {} --seed {} --runs {runs} --peers {}`\n\n{table}\n![the same as bars](peers.svg)\n",
        machine(),
        commit(),
        today(),
        parameters.events,
        parameters.seed,
        peers.join(",")
    )
}

/// The text with this section in place of the one before, or at its end.
fn replaced(old: &str, section: &str) -> String {
    let (before, after) = match old.split_once(BEGIN) {
        Some((before, rest)) => (before.to_owned(), rest.split_once(END).map_or("", |(_, after)| after)),
        None => (format!("{}\n\n", old.trim_end()), "\n"),
    };
    format!("{before}{BEGIN}\n{section}{END}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_section_changes() {
        let first = replaced("# Results\n\n## Other\nkept\n", "one\n");
        assert_eq!(first, format!("# Results\n\n## Other\nkept\n\n{BEGIN}\none\n{END}\n"));
        let more = format!("{first}\n## Later\nkept too\n");
        let second = replaced(&more, "two\n");
        assert_eq!(second, more.replace("one\n", "two\n"));
    }
}
