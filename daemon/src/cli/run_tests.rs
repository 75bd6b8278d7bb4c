//! Command lines: every example of every help text, and words that look like options.

use clap::CommandFactory;

use super::*;

fn read(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::read(line.iter().map(OsString::from))
}

/// The words of a shell command: quotes taken off, redirections and pipes cut off.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quote, mut quoted) = (None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => (quote, quoted) = (Some(c), true),
            (None, ' ') => words.push(String::new()),
            (None, '>' | '|') => break,
            _ => words.last_mut().unwrap().push(c),
        }
    }
    assert!(quote.is_none(), "open quote in {line}");
    words.retain(|word| !word.is_empty() || quoted && word == "''");
    words
}

/// The commands in a text of examples: the explanation stands behind two blanks.
fn examples(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter_map(|line| line.find("traild ").map(|at| line[at..].split("  ").next().unwrap().to_owned())).collect()
}

#[test]
fn a_usage_names_as_required_only_what_is() {
    for (line, usage) in [
        (&["terms"][..], "Usage: traild terms [OPTIONS] <DIMENSION> [QUERY]...\n       traild terms [OPTIONS] --path <PATH> [QUERY]..."),
        (&["terms", "--help"], "Usage: traild terms [OPTIONS] <DIMENSION> [QUERY]...\n       traild terms [OPTIONS] --path"),
        (&["import"], "Usage: traild import [OPTIONS] <PATH>..."),
        (&["histogram", "--limit", "3"], "Usage: traild histogram [OPTIONS] [QUERY]..."),
        (&["search", "--table", "--json"], "Usage: traild search [OPTIONS] [QUERY]..."),
        (&["key", "create"], "Usage: traild key create [OPTIONS] --scopes <SCOPES>"),
        (&["completions"], "Usage: traild completions [OPTIONS] <SHELL>"),
    ] {
        for url in [&[][..], &["--url", "http://x:1"]] {
            let told = read(&[&["traild"], line, url].concat()).unwrap_err().to_string();
            assert!(told.contains(usage), "{line:?} {url:?}: {told}");
        }
    }
}

#[test]
fn clap_finds_nothing_wrong() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_parse() {
    let command = Cli::command();
    for sub in command.get_subcommands() {
        let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        assert!(examples.len() >= 2, "{} has {} examples", sub.get_name(), examples.len());
        assert!(help.contains("Exit codes"), "{}", sub.get_name());
        for example in examples {
            let words = words(&example);
            assert!(words.contains(&sub.get_name().to_owned()), "an example of another command: {example}");
            if let Err(e) = Cli::read(words.iter().map(OsString::from)) {
                panic!("{example}: {e}");
            }
        }
        for arg in sub.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {} has no help", sub.get_name(), arg.get_id());
        }
    }
    for example in examples(&command.get_after_help().unwrap().to_string()) {
        assert!(Cli::read(words(&example).iter().map(OsString::from)).is_ok(), "{example}");
    }
}

/// What the parsed command line looks like inside, which has the words of the query.
fn shown(line: &[&str]) -> String {
    format!("{:?}", read(line).unwrap_or_else(|e| panic!("{line:?}: {e}")))
}

#[test]
fn negated_words_belong_to_the_query() {
    for line in [
        ["traild", "search", "user:alice", "-error_code:*", "--limit", "5"],
        ["traild", "search", "--limit", "5", "user:alice", "-error_code:*"],
        ["traild", "search", "user:alice", "--limit", "5", "-error_code:*"],
        ["traild", "search", "--limit=5", "user:alice", "-error_code:*", "--json"],
    ] {
        let shown = shown(&line);
        assert!(shown.contains("limit: Some(5)"), "{shown}");
        assert!(shown.contains(r#"query: ["user:alice", "\u{f8ff}-error_code:*"]"#), "{shown}");
    }
    for command in ["count", "histogram", "tail"] {
        assert!(shown(&["traild", command, "-error_code:*"]).contains("-error_code:*"));
    }
    assert!(shown(&["traild", "--url", "http://x", "count", "-(a", "OR", "b)"]).contains("-(a"));
    assert!(shown(&["traild", "terms", "user", "-error_code:*"]).contains("-error_code:*"));
    assert!(shown(&["traild", "search", "--", "-h", "--limit"]).contains(r#"query: ["-h", "--limit"]"#));
}

#[test]
fn options_stay_options() {
    assert_eq!(read(&["traild", "search", "-h"]).unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp);
    assert_eq!(read(&["traild", "-V"]).unwrap_err().kind(), clap::error::ErrorKind::DisplayVersion);
    assert_eq!(read(&["traild", "search", "--limt", "5"]).unwrap_err().kind(), clap::error::ErrorKind::UnknownArgument);
    assert!(read(&["traild", "search", "--limit", "0"]).is_err());
    assert!(read(&["traild", "import"]).is_err());
    let told = read(&["traild", "import", "--config", "t.toml", "events"]).unwrap_err();
    assert_eq!(told.kind(), clap::error::ErrorKind::MissingRequiredArgument);
    assert!(told.to_string().contains("--data-dir"), "{told}");
    assert!(read(&["traild", "import", "--config", "t.toml", "--data-dir", "d", "events"]).is_ok());
    assert!(read(&["traild", "segments", "-xyz"]).is_err());
    assert!(read(&["traild"]).is_err());
}

#[test]
fn the_query_is_what_was_written() {
    let words = ["a:b", "\u{f8ff}-c:*", "OR", "-d"].map(String::from);
    assert_eq!(selection::join(&words), "a:b -c:* OR -d");
    assert_eq!(selection::join(&[]), "");
}

#[test]
fn the_key_is_not_in_help() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("--key-file") && !help.contains("TRAILD_KEY="), "{help}");
}
