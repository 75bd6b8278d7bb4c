//! [`Exit`] and [`Failure`]: how a command ends, for scripts and for people.

use std::fmt;

use trail_engine::error::{Error, ErrorKind};

/// What a script reads from the exit code. The numbers are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Nothing found: the answer to a query is empty, as with `grep`; for `verify` and a rehearsal of `repair`: not all is well.
    Nothing = 1,
    /// The command line is wrong, or a local file cannot be used.
    Usage = 2,
    /// The server cannot be reached, or went away.
    Unreachable = 3,
    /// The server or the data directory refused: key, limit, wrong query, disk full, locked.
    Refused = 4,
    /// Done, but some of the input was rejected.
    Rejected = 5,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

/// The table of exit codes for help texts.
pub const HELP: &str = "Exit codes:
  0    done
  1    nothing found (search, count, terms, histogram), as with grep; damage found (verify, repair)
  2    wrong command line, or a local file that cannot be used
  3    the server cannot be reached
  4    the server or the data directory refused: key, limit, wrong query, disk full
  5    imported, but some of the input was rejected
  130  interrupted";

/// Why a command could not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What went wrong, in lower case; empty for a quiet end.
    pub message: String,
}

/// The result of a command.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }

    /// The command line is wrong, or a local file cannot be used.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    /// Standard output is gone: nobody reads any more, so nothing is said.
    pub fn output(error: &std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::new(Exit::Ok, ""),
            _ => Failure::usage(format!("cannot write the answer: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// From the engine, for commands that work on a data directory.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match error.kind() {
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Io => Exit::Usage,
            ErrorKind::Cancelled => Exit::Interrupted,
            _ => Exit::Refused,
        };
        let hint = match error.kind() {
            ErrorKind::Locked => " (is a server running on it? then import with --url)",
            _ => "",
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(exit, format!("{error}{cause}{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        for exit in [Exit::Ok, Exit::Nothing, Exit::Usage, Exit::Unreachable, Exit::Refused, Exit::Rejected, Exit::Interrupted] {
            let code = exit as u8;
            assert!(HELP.lines().any(|line| line.split_whitespace().next() == Some(&code.to_string())), "{exit:?}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_to_speak_of() {
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::output(&closed), Failure::new(Exit::Ok, ""));
        assert_eq!(Failure::output(&std::io::Error::from(std::io::ErrorKind::StorageFull)).exit, Exit::Usage);
    }

    #[test]
    fn a_locked_directory_is_explained() {
        let failure = Failure::from(Error::new(ErrorKind::Locked, "the directory is in use"));
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.message.contains("--url"));
    }
}
