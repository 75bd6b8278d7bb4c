//! The commands of a document: every line that begins with `$ ` in a block marked `console`.
//!
//! A command goes on in the next line after a backslash. A command that must end with another code than 0 says so behind it:
//! `# exit 1`. Other lines of a block are what the command prints; they are for people and are not compared.

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
    let (mut inside, mut goes_on) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("```") {
            inside = line.trim_end() == "```console";
            goes_on = false;
        } else if let (true, Some(step)) = (goes_on, steps.last_mut()) {
            step.command.push('\n');
            step.command.push_str(line);
            goes_on = line.ends_with('\\');
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands_of_console_blocks_only() {
        let text = "$ no\n```sh\n$ no\n```\n```console\n$ traild count x   # exit 1\n0\n$ a \\\n  b\n$ c\n```\n$ no\n";
        let step = |line, command: &str, exit| Step { line, command: command.into(), exit };
        assert_eq!(steps(text), [step(6, "traild count x   # exit 1", 1), step(8, "a \\\n  b", 0), step(10, "c", 0)]);
    }
}
