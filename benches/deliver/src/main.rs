//! `deliver`: prints what trails of a release build of `traild` do, as Markdown.
//!
//! The server is a process of its own on a fresh data directory, and so is the load. Whatever is delivered is read back and held against
//! what the server itself answers; anything missing or doubled ends the program with status 1. See the README of `benches` for the rows.

mod arguments;
mod beside_ingest;
mod catching_up;
mod course;
mod delivered;
mod full_ingest;
mod ground;
mod prompt;
mod receiver;
mod sealed;
mod subject;
mod times;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{}", arguments::USAGE);
        return ExitCode::SUCCESS;
    }
    match arguments::Arguments::read(words.into_iter()).and_then(|arguments| course::run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("deliver: {failure}");
            ExitCode::FAILURE
        }
    }
}
