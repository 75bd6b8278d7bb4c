//! [`Directory`]: where a log is kept while it is measured.

use std::path::{Path, PathBuf};

use trail_rig::Result;

use crate::arguments::Arguments;

/// A directory; removed at the end when it was made here.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    mine: bool,
}

impl Directory {
    /// The one that was asked for, else a new one.
    ///
    /// # Errors
    /// When it cannot be made, or holds something although events are to be stored in it.
    pub(crate) fn of(arguments: &Arguments) -> Result<Directory> {
        if let Some(path) = &arguments.data_dir {
            let used = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
            if used && !arguments.only_queries {
                return Err(format!("{} is not empty", path.display()).into());
            }
            return Ok(Directory { path: path.clone(), mine: false });
        }
        Directory::make("data")
    }

    /// A new one. Beside the build, not in /tmp, which may be memory: then "durable" would cost nothing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn make(what: &str) -> Result<Directory> {
        let path = std::env::current_exe()?.with_file_name(format!("measure-{what}-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Directory { path, mine: true })
    }

    /// Whether it stays when the measurement ends.
    pub(crate) fn is_kept(&self) -> bool {
        !self.mine
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.mine {
            // What is left is in the build folder, where `cargo clean` finds it.
            let _removed = std::fs::remove_dir_all(&self.path);
        }
    }
}
