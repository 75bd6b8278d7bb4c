//! [`Python`]: an environment with the peers that PyPI has, at the versions named here, in the work directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trail_rig::Result;

/// ClickHouse as a module, and the programs of clp-s.
pub(crate) const PACKAGES: [&str; 2] = ["chdb-core==26.9.0", "yscope-clp-core==0.12.1b0"];

/// An environment that has them.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    directory: PathBuf,
}

impl Python {
    /// Makes it, or takes the one that was made in an earlier run.
    ///
    /// # Errors
    /// When python3 is not there or the packages cannot be installed.
    pub(crate) fn install(work: &Path) -> Result<Python> {
        let directory = work.join(format!("python-{}", PACKAGES.join("-").replace("==", "-")));
        let python = Python { directory };
        let done = python.directory.join("installed");
        if done.is_file() {
            return Ok(python);
        }
        eprintln!("installing {} (about a gigabyte)", PACKAGES.join(" and "));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&python.directory))?;
        run(Command::new(python.interpreter()).args(["-m", "pip", "install", "--quiet", "--no-cache-dir"]).args(PACKAGES))?;
        std::fs::write(done, "")?;
        Ok(python)
    }

    /// The program.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.directory.join("bin/python3")
    }

    /// clp-s itself, without the Python that starts it.
    pub(crate) fn clp(&self) -> Result<PathBuf> {
        let find = "import os, yscope_clp_core; print(os.path.join(os.path.dirname(yscope_clp_core.__file__), 'bin', 'clp-s'))";
        let out = Command::new(self.interpreter()).args(["-c", find]).stderr(Stdio::null()).output()?;
        let path = PathBuf::from(String::from_utf8(out.stdout)?.trim());
        if path.is_file() { Ok(path) } else { Err("the package has no clp-s for this machine".into()) }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    let last = String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned();
    if out.status.success() { Ok(()) } else { Err(format!("{name} failed: {last}").into()) }
}
