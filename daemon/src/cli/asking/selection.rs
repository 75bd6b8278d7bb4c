//! Which events a query command is about: the query and its time range.
//!
//! A query is written as it is, in as many words as the shell makes of it, options before or behind. A word such as
//! `-error_code:*` would be an option to any parser of command lines; [`shield`] marks such words first, and [`SelectionArgs::q`]
//! takes the mark off.

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::{Args, Command};

use crate::cli::exit::Exit;
use crate::cli::terminal::output::tell;
use crate::cli::terminal::text::printable;
use crate::dialect::default_schema;

/// Stands before a word that must not be read as an option. A private-use character: no shell and no query has it.
const MARK: char = '\u{f8ff}';

/// The query and its time range.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// The query, such as `user:alice -error_code:*`; nothing means every event.
    #[arg(value_name = "QUERY")]
    pub query: Vec<String>,

    /// Events from this time on: `2026-11-01T08:00:00Z`, a UTC day such as `2026-11-01`, epoch milliseconds, or `now-30d` (the default).
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Events before this time; a day means its first moment; `now` by default.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

impl SelectionArgs {
    /// The text of the query.
    #[must_use]
    pub fn q(&self) -> String {
        join(&self.query)
    }

    /// The parameters of a request.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let range = [("from", &self.from), ("to", &self.to)];
        let range = range.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        std::iter::once(("q", self.q())).chain(range).collect()
    }
}

impl SelectionArgs {
    /// How a command ends that found nothing; a person is told what may be the reason.
    #[must_use]
    pub fn nothing(&self) -> Exit {
        if let Some(meant) = self.query.iter().find_map(|word| equation(word)) {
            tell(meant);
        } else if self.from.is_none() && std::io::stdout().is_terminal() {
            tell("nothing found in the last 30 days; --from reaches further back");
        }
        Exit::Nothing
    }
}

/// Said to whoever wrote `user=alice`; `None` for any other word.
#[must_use]
pub fn equation(word: &str) -> Option<String> {
    let meant = || format!("`{word}` is a text to be searched for; the value of a field is written {}", word.replacen('=', ":", 1));
    is_equation(word).then(|| printable(&meant()))
}

/// Whether a word is `user=alice`, which in other languages means what `user:alice` means here.
fn is_equation(word: &str) -> bool {
    let name = word.trim_start_matches([MARK, '-']).split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| default_schema().is_ok_and(|schema| schema.ordinal(name).is_some()))
}

/// The text of a query that came as words.
#[must_use]
pub fn join(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(|word| word.strip_prefix(MARK).unwrap_or(word)).collect();
    words.join(" ")
}

/// Marks the words of a query that begin with `-` in a command line; `command` says which options there are.
#[must_use]
pub fn shield(args: impl IntoIterator<Item = OsString>, command: &Command) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    let mut inside: Option<&Command> = None;
    let mut value_follows = false;
    let mut args = args.into_iter();
    out.extend(args.next());
    for arg in args.by_ref() {
        let text = arg.to_str().unwrap_or("");
        if text == "--" {
            out.push(arg);
            break;
        }
        let is_value = std::mem::replace(&mut value_follows, takes_next(text, inside.unwrap_or(command), command));
        if is_value {
            value_follows = false;
        } else if inside.is_none() && !text.starts_with('-') {
            inside = command.find_subcommand(text);
        } else if inside.is_some_and(takes_query) && is_negation(text) {
            out.push(format!("{MARK}{text}").into());
            continue;
        }
        out.push(arg);
    }
    out.extend(args);
    out
}

/// Whether an argument is an option whose value is the next argument.
fn takes_next(text: &str, inside: &Command, top: &Command) -> bool {
    let Some(name) = text.strip_prefix("--") else { return false };
    let mut known = inside.get_arguments().chain(top.get_arguments());
    known.any(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values())
}

fn takes_query(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == "query")
}

/// Whether a word is a negated term: no option of ours is a single dash with more than one letter.
fn is_negation(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| !rest.starts_with('-') && rest.chars().nth(1).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equation_with_a_dimension_is_told_from_a_text() {
        for word in ["user=alice", "-user=alice", "error_code="] {
            assert!(is_equation(word), "{word}");
        }
        for word in ["a=b", "user:a=b", "user", "=", "\"user\"=x"] {
            assert!(!is_equation(word), "{word}");
        }
    }
}
