//! `peers`: the same generated audit events and the same questions for `traild` and for its peers, in one run.
//!
//! Every peer stores the same file from nothing, alone on the machine, and every answer of every peer is checked against the file; see the README of
//! `benches`. A wrong answer, or a peer that fails in the middle, ends the program with status 1.

mod arguments;
mod binary;
mod child;
mod http;
mod machine;
mod outcome;
mod peer;
mod peers;
mod plot;
mod question;
mod results;
mod run;
mod table;
mod truth;

use std::path::Path;
use std::process::ExitCode;

use trail_rig::Result;

use crate::arguments::{Arguments, USAGE};
use crate::outcome::Outcome;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.as_slice() {
        [word, ..] if word == "--help" || word == "-h" => {
            println!("{USAGE}");
            Ok(true)
        }
        [word, directory] if word == peers::SERVE_TANTIVY => peers::serve_tantivy(Path::new(directory)).map(|()| true),
        _ => compare(words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was wrong.
fn compare(words: Vec<String>) -> Result<bool> {
    let arguments = Arguments::read(words.into_iter())?;
    let load = machine::load();
    let comparison = run::run(&arguments)?;
    let table = table::markdown(&comparison);
    println!("{table}");
    results::write(&arguments, &load, &table, &plot::svg(&comparison))?;
    Ok(!comparison.outcomes.iter().any(Outcome::is_wrong))
}
