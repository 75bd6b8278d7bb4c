//! `measure`: prints what a release build of `traild` does with a million generated audit events, as Markdown.
//!
//! The server is a process of its own on a fresh data directory, the events come over HTTP, every answer is checked against the events
//! themselves; see the README of `benches` for what the rows mean. Any wrong answer ends the program with status 1.

mod alone;
mod arguments;
mod bounds;
mod day_over;
mod direct;
mod directory;
mod gauge;
mod in_process;
mod ingest;
mod machine;
mod queries;
mod run;
mod storing;
mod table;
mod timing;
mod under_ingest;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{}", arguments::USAGE);
        return ExitCode::SUCCESS;
    }
    match arguments::Arguments::read(words.into_iter()).and_then(|arguments| run::run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("measure: {failure}");
            ExitCode::FAILURE
        }
    }
}
