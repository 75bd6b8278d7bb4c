//! The commands of a document: in a block marked `console` every line that begins with `$ `, in one marked `sh` every line that is
//! neither blank nor a comment; and the texts of blocks of any other mark.
//!
//! A command goes on in the next line after a backslash. A command that must end with another code than 0 says so behind it:
//! `# exit 1`. Other lines of a `console` block are what the command prints; they are for people and are not compared.

/// A command of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The number of its first line, from 1.
    pub line: usize,
    /// What a shell runs.
    pub command: String,
    /// The exit code that it must have.
    pub exit: i32,
}

/// The commands of a document, in order.
#[must_use]
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut mark, mut goes_on) = ("", false);
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(after) = line.strip_prefix("```") {
            mark = after.trim_end();
            goes_on = false;
        } else if let (true, Some(step)) = (goes_on, steps.last_mut()) {
            step.command.push('\n');
            step.command.push_str(line);
            goes_on = line.ends_with('\\');
        } else if let Some(command) = command_of(mark, line) {
            steps.push(Step { line: number, command: command.to_owned(), exit: 0 });
            goes_on = line.ends_with('\\');
        }
    }
    for step in &mut steps {
        let code = step.command.rsplit_once("# exit ").and_then(|(_, code)| code.trim().parse().ok());
        step.exit = code.unwrap_or(0);
    }
    steps
}

fn command_of<'l>(mark: &str, line: &'l str) -> Option<&'l str> {
    match mark {
        "console" => line.strip_prefix("$ "),
        "sh" => Some(line).filter(|line| !line.trim().is_empty() && !line.starts_with('#')),
        _ => None,
    }
}

/// The heading of the section, of any depth from two on, that a line stands in; empty before the first.
#[must_use]
pub fn heading(text: &str, line: usize) -> &str {
    let is_heading = |line: &&str| line.starts_with("## ") || line.starts_with("### ");
    text.lines().take(line).filter(is_heading).last().unwrap_or_default()
}

/// The texts of the blocks with this mark, in order.
#[must_use]
pub fn blocks(text: &str, mark: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let (mut inside, mut wanted) = (false, false);
    for line in text.lines() {
        if let Some(after) = line.strip_prefix("```") {
            inside = !inside;
            wanted = inside && after.trim_end() == mark;
            blocks.extend(wanted.then(String::new));
        } else if let (true, Some(block)) = (wanted, blocks.last_mut()) {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands_of_console_and_sh_blocks_only() {
        let text = "$ no\n```text\n$ no\n```\n```console\n$ traild count x   # exit 1\n0\n$ a \\\n  b\n$ c\n```\n$ no\n\
                    ```sh\n# what it does\n\nd 'x y'  # why\ne \\\n f\n```\n";
        let step = |line, command: &str, exit| Step { line, command: command.into(), exit };
        let expected = [step(6, "traild count x   # exit 1", 1), step(8, "a \\\n  b", 0), step(10, "c", 0), step(16, "d 'x y'  # why", 0)];
        let found = steps(text);
        assert_eq!(found[..4], expected);
        assert_eq!(found[4..], [step(17, "e \\\n f", 0)]);
    }

    #[test]
    fn finds_the_heading_of_a_line() {
        let text = "# a\n## b\nx\n### c\n# of a shell\ny\n";
        assert_eq!([1, 3, 6].map(|line| heading(text, line)), ["", "## b", "### c"]);
    }

    #[test]
    fn reads_the_blocks_of_a_mark() {
        let text = "a\n```toml\nb = 1\n\nc = 2\n```\nd = 3\n```\ne\n```\n```toml\n```\n";
        assert_eq!(blocks(text, "toml"), ["b = 1\n\nc = 2\n", ""]);
    }
}
