//! [`Child`]: a process that is asked by a line of JSON and answers by another, so that what a library uses is the account of a process of its own.
//!
//! An answer with the key `error` is an error. Limits: one question at a time; lines that are no JSON object are left out, since libraries print.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use trail_rig::{Process, Result};

use crate::peer::Account;

/// A process that answers.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Child {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Result<Child> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", command.get_program().to_string_lossy()))?;
        let questions = process.stdin.take().ok_or("the process takes no questions")?;
        let answers = process.stdout.take().ok_or("the process gives no answers")?;
        Ok(Child { process, questions, answers: BufReader::new(answers) })
    }

    /// Asks and waits for the answer.
    pub(crate) fn exchange(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.questions, "{question}")?;
        self.questions.flush()?;
        let mut line = String::new();
        while self.answers.read_line(&mut line)? > 0 {
            match serde_json::from_str::<Value>(&line) {
                Ok(answer) if answer.is_object() => {
                    let error = answer.get("error").map(|error| error.as_str().unwrap_or_default().to_owned());
                    return error.map_or(Ok(answer), |error| Err(error.into()));
                }
                _ => line.clear(),
            }
        }
        Err("the process ended without an answer".into())
    }

    /// What it used so far.
    pub(crate) fn account(&self) -> Account {
        let process = Process::of(self.process.id());
        Account { cpu_seconds: process.cpu_seconds(), peak_memory: process.peak_memory() }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // All that it has is thrown away; it may have ended by itself.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// The time an answer of a child says it took.
pub(crate) fn seconds(answer: &Value) -> Result<Duration> {
    let seconds = answer.get("seconds").and_then(Value::as_f64).ok_or("an answer does not say how long it took")?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_errors_and_ends() {
        let script = r#"read q; echo noise; echo "{\"seconds\":0.5,\"got\":$q}"; read q; echo '{"error":"no"}'"#;
        let mut child = Child::start(Command::new("sh").args(["-c", script])).unwrap();
        let answer = child.exchange(&serde_json::json!([1])).unwrap();
        assert_eq!((answer["got"][0].as_u64(), seconds(&answer).unwrap()), (Some(1), Duration::from_millis(500)));
        assert!(child.account().cpu_seconds.is_some());
        assert_eq!(child.exchange(&Value::Null).unwrap_err().to_string(), "no");
        assert!(child.exchange(&Value::Null).is_err());
        assert!(Child::start(&mut Command::new("/no/such/program")).is_err());
    }
}
