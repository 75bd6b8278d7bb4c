//! `load`: puts load on a running log server, and says what the server made of it.
//!
//! One thread drives all connections, so that on a small machine nearly all of the CPU is the server's. The events of the requests are
//! made once and then changed in place, so that any number of different events needs neither a file nor much memory. See the README of
//! `benches` for what the figures mean. Status 0: every event was accepted; 1: not every one, or the run broke off; 2: wrong arguments.

mod arguments;
mod bodies;
mod drive;
mod link;
mod progress;
mod protocol;
mod report;
mod run;
mod schedule;
mod tally;
mod url;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{}", arguments::USAGE);
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments::Arguments::read(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(failure) => {
            eprintln!("load: {failure}");
            return ExitCode::from(2);
        }
    };
    match run::run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::FAILURE
        }
    }
}
