//! `traild completions`: what a shell needs to complete commands.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::exit::{Exit, Outcome};
use crate::cli::terminal::output::Output;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild completions bash > ~/.local/share/bash-completion/completions/traild
  traild completions zsh > ~/.zfunc/_traild
  traild completions fish > ~/.config/fish/completions/traild.fish";

/// Prints shell completions.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command for the completions of `command`.
///
/// # Errors
/// When standard output takes no more.
pub fn completions(args: &CompletionsArgs, command: &mut Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "traild", &mut script);
    let mut output = Output::new();
    output.write(&String::from_utf8_lossy(&script))?;
    output.flush()?;
    Ok(Exit::Ok)
}
