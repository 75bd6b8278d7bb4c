//! The table: class, injected, count, target, lost, altered, wrong, panics.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use crate::classes::Class;
use crate::runner::{Run, Scale, Tally};

/// A class that was run.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    class: Class,
    target: u64,
    planned: u64,
    unreached: u64,
    tally: Tally,
    took: Duration,
}

/// Runs a class.
#[must_use]
pub fn row(class: Class, scale: Scale) -> Row {
    let run = Run::new(class.number, scale);
    (class.run)(&run);
    let (tally, took) = run.end();
    Row { class, target: run.target(), planned: run.planned(), unreached: run.unreached(), tally, took }
}

impl Row {
    /// Whether nothing is wrong, and there were enough cases.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let Tally { count, lost, altered, wrong, panics } = self.tally;
        count >= self.target && lost + altered + wrong + panics == 0
    }

    /// Writes the row to a file of its own in a folder, which is made if need be.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn keep(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let name = format!("{:02}-{}", self.class.number, self.class.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        fs::write(folder.join(name), format!("{self}\n"))
    }

    /// The heading of the columns.
    #[must_use]
    pub fn heading() -> String {
        let titles = ["count", "target", "lost", "altered", "wrong", "panics", "seconds"];
        let columns: String = titles.iter().map(|title| format!("{title:>9}")).collect();
        format!("class {:<28}{columns}", "injected")
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { count, lost, altered, wrong, panics } = self.tally;
        write!(f, "{:>5} {:<28}", self.class.number, self.class.name)?;
        for number in [count, self.target, lost, altered, wrong, panics] {
            write!(f, "{number:>9}")?;
        }
        write!(f, "{:>9.1}", self.took.as_secs_f64())?;
        if !self.is_good() {
            write!(f, "  FAILED")?;
        }
        if count < self.target {
            write!(f, ": {} cases were planned, {} of them did not come to their fault", self.planned, self.unreached)?;
        }
        Ok(())
    }
}
