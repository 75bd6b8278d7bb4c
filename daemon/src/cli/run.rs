//! The command line as a whole: which commands there are, and how one of them ends the process.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::answers::{count, histogram, segments, stats, terms};
use crate::cli::archive::{command as archive, restore};
use crate::cli::asking::connection::ConnectionArgs;
use crate::cli::asking::selection;
use crate::cli::events::{search, tail};
use crate::cli::exit::{self, Exit, Outcome};
use crate::cli::import::command as import;
use crate::cli::local::{completions, key, repair, serve, verify};
use crate::cli::terminal::output::tell;
use crate::cli::trails::command as trail;

const ABOUT: &str =
    "A self-hosted audit trail: takes operation records over HTTP, keeps them durable and indexed, answers questions about them.";

const EXAMPLES: &str = "Examples:
  traild serve                                        start a server on this machine
  traild import events.ndjson                         bring events into it
  traild search user:alice -error_code:*              ask it
  traild terms event_name --from now-1d";

/// The command line of `traild`.
#[derive(Debug, Parser)]
#[command(name = "traild", version, about = ABOUT, after_help = after(EXAMPLES), arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = after(serve::EXAMPLES))]
    Serve(serve::ServeArgs),
    #[command(after_help = after(import::EXAMPLES))]
    Import(import::ImportArgs),
    #[command(after_help = after(search::EXAMPLES))]
    Search(search::SearchArgs),
    #[command(after_help = after(count::EXAMPLES))]
    Count(count::CountArgs),
    #[command(after_help = after(terms::EXAMPLES))]
    Terms(terms::TermsArgs),
    #[command(after_help = after(histogram::EXAMPLES))]
    Histogram(histogram::HistogramArgs),
    #[command(after_help = after(tail::EXAMPLES))]
    Tail(tail::TailArgs),
    #[command(after_help = after(segments::EXAMPLES))]
    Segments(segments::SegmentsArgs),
    #[command(after_help = after(stats::EXAMPLES))]
    Stats(stats::StatsArgs),
    #[command(after_help = after(trail::EXAMPLES))]
    Trail(trail::TrailArgs),
    #[command(after_help = after(verify::EXAMPLES))]
    Verify(verify::VerifyArgs),
    #[command(after_help = after(repair::EXAMPLES))]
    Repair(repair::RepairArgs),
    #[command(after_help = after(archive::EXAMPLES))]
    Archive(archive::ArchiveArgs),
    #[command(after_help = after(restore::EXAMPLES))]
    Restore(restore::RestoreArgs),
    #[command(after_help = after(key::EXAMPLES))]
    Key(key::KeyArgs),
    #[command(after_help = after(completions::EXAMPLES))]
    Completions(completions::CompletionsArgs),
}

fn after(examples: &str) -> String {
    format!("{examples}\n\n{}", exit::HELP)
}

/// The command line with the usage of every command written out. Left to itself, the usage in an error also names every option that has
/// a value, and `TRAILD_URL` in the environment made `--url` look required.
fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    written_out(command)
}

fn written_out(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    command.override_usage(usage).mut_subcommands(written_out)
}

impl Cli {
    /// Reads a command line, the program's name first. Words such as `-error_code:*` belong to queries.
    ///
    /// # Errors
    /// Clap's message for a wrong command line, or for `--help`.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let mut matches = command().try_get_matches_from(selection::shield(args, &Cli::command()))?;
        Cli::from_arg_matches_mut(&mut matches)
    }

    fn run(&self) -> Outcome {
        let connection = &self.connection;
        match &self.command {
            Command::Serve(args) => serve::serve(args),
            Command::Import(args) => import::import(args, connection),
            Command::Search(args) => search::search(args, connection),
            Command::Count(args) => count::count(args, connection),
            Command::Terms(args) => terms::terms(args, connection),
            Command::Histogram(args) => histogram::histogram(args, connection),
            Command::Tail(args) => tail::tail(args, connection),
            Command::Segments(args) => segments::segments(args, connection),
            Command::Stats(args) => stats::stats(args, connection),
            Command::Trail(args) => trail::trail(args, connection),
            Command::Verify(args) => verify::verify(args),
            Command::Repair(args) => repair::repair(args),
            Command::Archive(args) => archive::archive(args),
            Command::Restore(args) => restore::restore(args),
            Command::Key(args) => key::key(args),
            Command::Completions(args) => completions::completions(args, &mut Cli::command()),
        }
    }
}

/// Whether the process is to make or change a trail: then an option that is not known was meant for its sink.
fn is_of_a_sink() -> bool {
    let has = |words: &[&str]| std::env::args_os().skip(1).any(|arg| words.iter().any(|word| arg == *word));
    has(&["trail"]) && has(&["create", "change"])
}

/// Reads the command line of the process and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // A closed pipe is the only way in which printing fails; then nobody is there to be told.
            drop(error.print());
            if error.kind() == ErrorKind::UnknownArgument && is_of_a_sink() {
                tell("the members of a sink are written --set NAME=VALUE; `traild trail kinds` lists them");
            }
            return ExitCode::from(if wrong { Exit::Usage } else { Exit::Ok } as u8);
        }
    };
    let exit = cli.run().unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            tell(format_args!("traild: {}", failure.message));
        }
        failure.exit
    });
    ExitCode::from(exit as u8)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
